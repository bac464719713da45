"""What serving and the operator share: accounts and keys, quota and its scripts, the ledger, settlement.

Rooms, each importing only those before it: `platform`, `quota`, `ledger`, `accounts`, `settlement`. The rules about who
owns which state belong here (Postgres is the truth, Redis the fast copy). HTTP, Ray, JAX and Kubernetes do not belong
here, nor do the tables of a capability, which are in its folder.
"""
