"""Proofs that the server holds: each starts the real one, drives it, and checks every answer. Linux only."""
