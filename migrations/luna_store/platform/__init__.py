"""Postgres services: connections, the schema's revision, locks, leases, partitions; also logs and traces."""
