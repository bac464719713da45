"""Accounts and their API keys in Postgres, their copy in Redis, and debits from their rows while Redis is down."""
