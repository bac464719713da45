"""Work that no request waits for: loops under leases, and the `workers` deployment that runs them.

What a loop does belongs to its capability; how leases are kept belongs to `luna_store.platform.leases`.
"""
