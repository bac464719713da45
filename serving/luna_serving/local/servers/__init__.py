"""Processes that `luna up` and the tests run: embedded Postgres and Valkey, settlement. Linux and macOS."""
