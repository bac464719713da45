"""Parses requests: from bytes to schemas, and from schemas to jobs. No mathematics, no I/O."""
