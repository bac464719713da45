"""Keys of objects: opaque, under the account's prefix, in one of two areas.

Presigned URLs write to `incoming/` only. What was checked is copied to `sealed/`, which no URL can write, and only
sealed objects are read afterwards.
"""

import uuid


def account_prefix(account_id: int) -> str:
    """All that an account stores."""
    return f"accounts/{account_id}/"


def incoming_prefix(account_id: int) -> str:
    """What the account's callers upload."""
    return f"accounts/{account_id}/incoming/"


def sealed_prefix(account_id: int) -> str:
    """What was checked and what Luna wrote itself."""
    return f"accounts/{account_id}/sealed/"


def sealed_key(account_id: int, name: uuid.UUID | None = None) -> str:
    """A key that only Luna writes; a new one by default."""
    return f"{sealed_prefix(account_id)}{name or uuid.uuid4()}"


def is_incoming(key: str) -> bool:
    """Whether presigned URLs may write this key."""
    parts = key.split("/")
    return len(parts) == 4 and parts[0] == "accounts" and parts[1].isdecimal() and parts[2] == "incoming"
