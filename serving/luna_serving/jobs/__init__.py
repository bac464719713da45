"""Background work: loops under leases, and the `workers` deployment that runs them.

The work of a loop belongs to its capability, leases belong to `luna_store.platform.leases`.
"""
