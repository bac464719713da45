"""Names of Luna's API group, labels, finalizer and field manager in Kubernetes."""

from typing import NamedTuple

GROUP = "luna.dev"
VERSION = "v1"
API_VERSION = f"{GROUP}/{VERSION}"

# Every Kopf operator in the cluster would share Kopf's default.
FINALIZER = f"{GROUP}/account"
FIELD_MANAGER = "luna-operator"

MANAGED_BY = "app.kubernetes.io/managed-by"
ACCOUNT_LABEL = f"{GROUP}/account"
"""Label of Secrets: the owner's uid."""


class Key(NamedTuple):
    """Namespace and name of an Account."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"
