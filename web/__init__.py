"""The web app: HTML pages and a JSON API."""
