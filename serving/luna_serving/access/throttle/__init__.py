"""Limits on failed attempts, per address: GCRA buckets in Redis, or in this process while Redis is gone.

Holds what attempts of each kind may do and how they are counted. Does not know HTTP: the edge says which address a
caller has, and what failed.
"""
