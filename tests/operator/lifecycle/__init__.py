"""The life of Accounts against the real thing: API server, Postgres, Valkey, and an ingress that calls reach.

A package, unlike its neighbours: pytest ends fixtures of scope `package` with the last test of one, and the next
folder's operator, with another database, must not meet this one at the same API server.
"""
