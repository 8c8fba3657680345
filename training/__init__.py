"""Data in, trained network out. Knows nothing of HTTP."""
