"""Many pictures at once: found, read by an engine, and written as rows. What `predict.py` calls."""
