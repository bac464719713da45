"""Rules, alerts, their events, the outbox and silences in Postgres. Imports no capability but this one."""
