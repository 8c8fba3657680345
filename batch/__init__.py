"""Batch prediction for `predict.py`: finding pictures, reading them, and writing rows."""
