"""Carries debits from Redis to the ledger, and brings Redis up to date with what changed in Postgres."""
