"""Postgres for everybody: connections, the schema's revision, locks, partitions. Knows no table but the base class."""
