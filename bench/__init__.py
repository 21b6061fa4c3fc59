"""Benchmarks of streaming: our server, its peers and the limit, side by side on the same machine. Never part of the tests."""
