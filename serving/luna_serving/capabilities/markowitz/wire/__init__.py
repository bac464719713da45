"""Parses bodies of `/markowitz`: from bytes to schemas, from schemas to portfolio jobs. No mathematics."""
