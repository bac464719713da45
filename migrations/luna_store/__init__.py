"""What serving and the operator share: tables, API keys, Redis keys, quota scripts and the usage ledger.

Here belongs every rule about who owns which state (Postgres is the truth, Redis the fast copy). HTTP, Ray, JAX
and Kubernetes do not.
"""
