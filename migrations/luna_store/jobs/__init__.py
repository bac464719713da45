"""The queue of jobs: rows, claims, leases and fences, endings, events.

What a job computes is its kind's (`luna_serving.jobs.kinds`); here a job's parameters and result are bytes.

Locks are taken in this order: accounts' rows, a lane's row, the advisory lock of an account's events, jobs' rows. Who
writes an event holds the advisory lock of its account, so that the ids of one account's events are visible in their
order.
"""
