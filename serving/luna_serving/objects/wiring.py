"""Wires the object store of a process."""

from prometheus_client import CollectorRegistry

from luna_serving.objects.access import ObjectAccess
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.metrics import ObjectMetrics
from luna_serving.settings.objects import ObjectsSettings


class ObjectsNeeded(Exception):
    """A capability stores objects, and there is no object store; says how to get one."""

    def __init__(self, capability: str) -> None:
        super().__init__(
            f"The capability {capability} needs an object store: set S3_ENDPOINT, S3_BUCKET, S3_ACCESS_KEY_ID and "
            "S3_SECRET_ACCESS_KEY, or leave the capability out with LUNA_ONLY."
        )


def object_store(settings: ObjectsSettings, registry: CollectorRegistry) -> ObjectStore | None:
    """The store that the environment names; None if it names none.

    Raises:
        ValueError: a variable is missing or no URL; names it.
    """
    access = ObjectAccess.from_environment()
    return None if access is None else ObjectStore(access, settings, ObjectMetrics(registry))


def needed(objects: ObjectStore | None, capability: str) -> ObjectStore:
    """The store, for a capability that cannot be served without one.

    Raises:
        ObjectsNeeded: there is none.
    """
    if objects is None:
        raise ObjectsNeeded(capability)
    return objects
