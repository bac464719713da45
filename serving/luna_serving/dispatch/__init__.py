"""Sends calls to replicas: batching, lanes, deadlines, outcomes. HTTP does not belong here."""
