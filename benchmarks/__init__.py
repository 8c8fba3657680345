"""Measurements, and what they measure with; nothing here is needed to train or to serve."""
