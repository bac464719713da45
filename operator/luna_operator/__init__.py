"""The operator: turns Account and Tier resources into rows, Redis keys and Secrets.

`resources` parses the custom resources, `plan` decides (pure), `kube` calls the API server, `reconcile` observes and
acts, `running` wires them, `handlers` connects them to Kopf. Nothing here imports ray, jax or `luna_serving`.
"""
