"""What tests and benchmarks share: handwriting and pictures of it, a small MNIST, servers, and a browser."""
