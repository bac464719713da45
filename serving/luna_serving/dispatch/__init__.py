"""Sends admitted calls to replicas: batching, lanes, deadlines, outcomes. Knows nothing of HTTP."""
