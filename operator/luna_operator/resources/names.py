"""Every name under which Luna appears in Kubernetes."""

from typing import NamedTuple

GROUP = "luna.dev"
VERSION = "v1"
API_VERSION = f"{GROUP}/{VERSION}"

# Kopf's default would be shared with every other Kopf operator in the cluster.
FINALIZER = f"{GROUP}/account"
FIELD_MANAGER = "luna-operator"

MANAGED_BY = "app.kubernetes.io/managed-by"
ACCOUNT_LABEL = f"{GROUP}/account"
"""On Secrets: the owner's uid."""


class Key(NamedTuple):
    """Where an Account lives."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
