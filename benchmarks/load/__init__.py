"""Proofs: each starts the real server, sends it requests, and checks every response. Linux only."""
