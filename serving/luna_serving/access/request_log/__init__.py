"""The request log: rows of answered requests, collected in memory and written to Postgres in batches.

What a row holds and how it is stored belongs to `luna_store.requests`; which requests there are, to the edge.
"""
