"""The HTTP faces of recognition: pages for people, an API for programs."""
