"""The keys of a set's objects. All follow from the set's id: an attempt that is repeated writes the same keys."""

import uuid

from luna_serving.capabilities.datasets.store.records import Kind
from luna_serving.objects.keys import incoming_prefix, sealed_key


def incoming_of(account_id: int, dataset_id: uuid.UUID) -> str:
    """The prefix of a set's uploads: one list of the store shows all that have arrived."""
    return f"{incoming_prefix(account_id)}{dataset_id}-"


def upload_key(account_id: int, dataset_id: uuid.UUID, position: int) -> str:
    """Where a file is uploaded."""
    return f"{incoming_of(account_id, dataset_id)}{position}"


def file_key(account_id: int, dataset_id: uuid.UUID, position: int) -> str:
    """Where a file is sealed."""
    return sealed_key(account_id, uuid.uuid5(dataset_id, f"file/{position}"))


def made_key(account_id: int, dataset_id: uuid.UUID, kind: Kind, number: int = 0) -> str:
    """Where a validation puts what it makes."""
    return sealed_key(account_id, uuid.uuid5(dataset_id, f"{kind}/{number}"))


def parse_incoming(key: str) -> tuple[int, uuid.UUID, int] | None:
    """The account, set and position of an upload's key; None for another key."""
    try:
        _, account_id, area, name = key.split("/")
        dataset_id, position = name.rsplit("-", 1)
        return (int(account_id), uuid.UUID(dataset_id), int(position)) if area == "incoming" else None
    except ValueError:
        return None
