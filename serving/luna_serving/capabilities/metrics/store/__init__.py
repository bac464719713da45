"""Samples in Postgres: tables, and the statements that write and read them.

Belongs here: every statement on the capability's tables. All writes are in transactions of the caller, who fences them.
Not here: what is in the bytes of a column (`shard`).
"""
