"""Keeps whole histories: a bounded memory of each ingress replica in front of Redis, which they share.

The cache is never needed for an answer: where Redis fails, a breaker opens and histories are computed.
"""
