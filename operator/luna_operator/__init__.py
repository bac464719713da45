"""The Kopf operator: reconciles `Account` resources into Postgres rows, Redis keys and Secrets.

Here belong handlers (thin), plans (pure), reconciliation, conditions and Secrets. It imports `luna_store`, never
`luna_serving`, ray or jax. The handlers arrive with the custom resource definitions in `crds/`.
"""
