"""The protocols of ingest: from the bytes of a request to a `Batch`, and from what was written to the answer's bytes.

Belongs here: one parser per protocol, and the checks that all share. Every parser is pure: the time, the limits and the
cache of series are arguments. Not here: routes, charges, and the shards that store a batch.
"""
