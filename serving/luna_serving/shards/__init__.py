"""Processes that keep the state of accounts in memory, each account in one of them, under leases.

Belongs here: the Serve deployment of a shard, its lease, which shard has which account, and the client that asks one.
Not here: what the state is. A capability declares the class (`Capability.shard`), which this room opens and closes.
"""
