"""Clients of the API server. They take no decisions."""
