"""Custom indicators in Postgres. Imports no capability but this one."""
