"""Moves events from Redis to the ledger, and rebuilds Redis where Postgres changed."""
