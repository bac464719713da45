"""What the object store says of the server's market: its newest file, for processes that have no database.

It is a hint that has files mapped before calls need them. Which version is current, Postgres says.
"""

from dataclasses import dataclass
from typing import Final

import orjson

from luna_serving.objects.client import ObjectStore
from luna_serving.objects.errors import ObjectMissing
from luna_serving.prices.located import MarketFile

PREFIX: Final = "markets/server/"
"""Of all objects of the server's market."""
KEY: Final = f"{PREFIX}newest.json"


@dataclass(frozen=True, slots=True)
class Announced:
    """The newest version of the server's market, or the one that is about to be."""

    data_version: int
    file: MarketFile


async def announced(store: ObjectStore) -> Announced | None:
    """Read it; None if nothing was announced.

    Raises:
        StoreGone, StoreRefused: it cannot be read.
    """
    try:
        said = orjson.loads(await store.get_bytes(KEY))
        return Announced(said["data_version"], MarketFile(said["key"], said["digest"], said["bytes"]))
    except (ObjectMissing, orjson.JSONDecodeError, KeyError):
        return None


async def announce(store: ObjectStore, newest: Announced) -> None:
    """Write it, before the version becomes current."""
    file = newest.file
    said = {"data_version": newest.data_version, "key": file.key, "digest": file.digest, "bytes": file.bytes}
    await store.put_bytes(KEY, orjson.dumps(said), "application/json")
