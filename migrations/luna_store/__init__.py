"""What serving and the operator share: accounts and keys, quota and its scripts, the ledger, settlement.

Rooms, each importing only those before it: `platform`, `quota`, `ledger`, `accounts`, `settlement`. Here belongs every
rule about who owns which state (Postgres is the truth, Redis the fast copy). HTTP, Ray, JAX and Kubernetes do not, and
neither do the tables of a capability: they live in its folder.
"""
