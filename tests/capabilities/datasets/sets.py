"""Sets of the tests, and a caller that sends them."""

from __future__ import annotations

import hashlib
import random
import time
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.store.stores import Caller, Store

CONTRACT = {"time_column": "ts", "series_column": "shop", "value_columns": ["y"]}


def table(shops: str = "ab", days: int = 28, *, twice: bool = False, salt: float = 0.0) -> bytes:
    """A valid CSV; with `twice`, its last row is there a second time."""
    rows = [f"2024-01-{day:02d},{shop},{day * 1.5 + ord(shop) + salt}" for shop in shops for day in range(1, days + 1)]
    if twice:
        rows.append(rows[-1])
    return "\n".join(["ts,shop,y", *rows, ""]).encode()


def declared(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """Files as `POST /upload/start` takes them."""
    return [
        {"path": path, "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "media_type": "text/csv"}
        for path, data in files.items()
    ]


def body(files: Mapping[str, bytes], name: str = "sales", **changes: Any) -> dict[str, Any]:
    """The body of `POST /upload/start`."""
    return {"name": name, "type": "series", "contract": CONTRACT, "files": declared(files)} | changes


async def started(client: httpx.AsyncClient, files: Mapping[str, bytes], name: str = "sales") -> dict[str, Any]:
    answer = await client.post("/upload/start", json=body(files, name))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def put(file: Mapping[str, Any], data: bytes) -> int:
    """Send a missing file to the object store; returns the status."""
    upload = file["upload"]
    async with httpx.AsyncClient(timeout=60) as store:
        return (await store.put(upload["url"], headers=upload["headers"], content=data)).status_code


async def sent(client: httpx.AsyncClient, files: Mapping[str, bytes], name: str = "sales") -> dict[str, Any]:
    """A set whose files are all in the object store."""
    answer = await started(client, files, name)
    for each in answer["files"]:
        if each["state"] == "missing":
            assert await put(each, files[each["path"]]) == 200
    return answer


async def completed(client: httpx.AsyncClient, dataset_id: str) -> httpx.Response:
    return await client.post("/upload/complete", json={"dataset_id": dataset_id})


async def verdict(client: httpx.AsyncClient, dataset_id: str, *, within_s: float = 120) -> dict[str, Any]:
    """The status of a set, once it is final."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        answer = await client.get(f"/validation/{dataset_id}/status", headers={"Prefer": "wait=20"})
        assert answer.status_code == 200, answer.text
        if answer.json()["state"] not in {"uploading", "validating"}:
            return dict(answer.json())
    raise AssertionError(f"no verdict on {dataset_id} within {within_s} s")


async def judged(client: httpx.AsyncClient, files: Mapping[str, bytes], name: str = "sales") -> dict[str, Any]:
    """The verdict on a set."""
    dataset_id = (await sent(client, files, name))["dataset_id"]
    answer = await completed(client, dataset_id)
    assert answer.status_code == 202, answer.text
    return await verdict(client, dataset_id)


async def account_of(store: Store, **spec: Any) -> Caller:
    """An account whose id no other test has: databases are each test's own, the object store is the run's."""
    query = "SELECT setval(pg_get_serial_sequence('accounts', 'id'), :id)"
    await store.scalar(query, id=random.randint(10_000, 2_000_000_000))
    return await store.account(**spec)
