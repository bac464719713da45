"""Samples of metrics as all capabilities see them: their columns, and the port by which an account's shard is asked.

Belongs here: the identity of a series, batches of samples, requests to shards and their answers, the client that sends
them. Not here: how samples are stored and queried (`capabilities/metrics`), protocols and routes.
"""
