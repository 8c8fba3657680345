"""Benchmarks and proofs; nothing here is needed to train or to serve."""
