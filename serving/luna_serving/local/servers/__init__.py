"""Processes that `luna up` and the tests start and stop: embedded Postgres and Valkey, settlement. Linux and macOS."""
