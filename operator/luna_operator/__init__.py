"""The operator: turns Account and Tier resources into rows, Redis keys and Secrets.

`resources` reads what Kubernetes says, `plan` decides (pure), `kube` speaks to the API server, `reconcile` observes
and acts; `main` wires them, `handlers` is all that Kopf sees. Nothing here imports ray or jax, or `luna_serving`.
"""
