"""The audit log: who changed what. Triggers write it; see `docs/audit.md`.

Holds the table, what names the actor of a change, the definitions of triggers for migrations, reading and retention.
Does not hold the triggers themselves, which migrations create, nor a log of requests that change nothing.
"""
