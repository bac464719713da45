"""Live metrics: ingest, storage, queries and live updates of an account's time series.

Belongs here: the protocols that samples arrive in, chunks and write-ahead tables, shards, roll-ups, the routes of
queries and their formats. Not here: PromQL itself (`luna_serving.engines.promql`), the requests that shards answer
(`luna_serving.samples`), rules and notifications (the capability `alerts`).
"""
