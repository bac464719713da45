"""A valid data set of type `ohlcv` is a market of its account, and of nobody else."""

import asyncio
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest
from tests.capabilities.datasets.sets import account_of, declared
from tests.capabilities.market.market import client_of, csv_file, imported, market_routes, rows
from tests.store.stores import Caller, Store

from luna_serving.capabilities.datasets.job_kinds import job_kinds
from luna_serving.capabilities.datasets.settings import DatasetsSettings
from luna_serving.capabilities.datasets.store import removing, starting, validating
from luna_serving.capabilities.datasets.store.reading import Reference
from luna_serving.capabilities.datasets.store.records import Declared, SetRecord, State
from luna_serving.capabilities.datasets.store.starting import NewSet
from luna_serving.capabilities.datasets.uploads.keys import upload_key
from luna_serving.jobs.background import Background
from luna_serving.objects.client import ObjectStore
from luna_serving.prices.intervals import Interval
from luna_serving.prices.sources import BarsReference
from luna_serving.prices.stored import StoredPrices
from luna_serving.wire.problems import Problem
from luna_store.audit.actors import Actor

CONTRACT = {"time_column": "date", "series_column": "symbol"}


@dataclass
class Attempt:
    """An attempt at a job, without a queue."""

    stores: Background
    account_id: int
    job_id: str
    parameters: bytes
    checkpoint: bytes | None = None
    limits: Mapping[str, int] = field(default_factory=dict)

    async def compute(self, capability: str, jobs: Sequence[Any]) -> Sequence[Any]:
        raise AssertionError(f"{capability} computes nothing")

    def report(self, completed: int, **_: Any) -> None: ...

    def keep(self, checkpoint: bytes) -> None: ...

    def partial(self, result: bytes, units: int) -> None: ...


async def uploaded(
    store: Store, objects: ObjectStore, caller: Caller, files: Mapping[str, bytes], contract: Mapping[str, Any]
) -> SetRecord:
    """A set that was validated."""

    async def nothing(connection: Any, record: Any) -> None:
        del connection, record

    new = NewSet(caller.account_id, "mine", "ohlcv", contract, [Declared(**each) for each in declared(files)])
    record, made = await starting.start(store.engine, new, most_sets=100, also=nothing, by=Actor("test"))
    for row in made:
        if row.object_key is None:
            await objects.put_bytes(upload_key(caller.account_id, record.id, row.position), files[row.path])
    job_id = uuid.uuid4()
    async with store.engine.begin() as connection:
        await validating.begin(connection, caller.account_id, record.id, job_id)
    (kind,) = job_kinds(DatasetsSettings())
    stores = Background(store.engine, store.redis, objects)
    attempt = Attempt(stores, caller.account_id, str(job_id), orjson.dumps({"dataset_id": str(record.id)}))
    await asyncio.wait_for(kind.run(attempt), 60)
    return await validating.record_of(store.engine, validating.Attempt(caller.account_id, record.id, job_id))


def table(*lines: Sequence[str], header: str = "symbol,date,open,high,low,close,volume") -> bytes:
    return "\n".join([header, *(row for each in lines for row in each), ""]).encode()


async def test_an_uploaded_set_is_a_market_of_its_account_only(
    store: Store, objects: ObjectStore, tmp_path: Path
) -> None:
    await imported(store, objects, csv_file(tmp_path / "server.csv", rows("AAA", 5) + rows("BBB", 5)))
    owner = await account_of(store)
    async with market_routes(store, objects, tmp_path) as routes:
        data = table(rows("AAA", 4, close=7), rows("ZZZ", 3))
        record = await uploaded(store, objects, owner, {"a.csv": data}, CONTRACT)
        assert record.state is State.VALID
        async with client_of(store, routes) as stranger:
            seen = (await stranger.get("/symbols")).json()["items"]
            assert [(each["symbol"], each["own"]) for each in seen] == [("AAA", False), ("BBB", False)]
            assert (await stranger.get("/prices", params={"symbols": "ZZZ"})).status_code == 404
        async with client_of(store, routes, caller=owner, history_days=1) as client:
            seen = (await client.get("/symbols")).json()["items"]
            assert [(each["symbol"], each["own"]) for each in seen] == [("AAA", True), ("BBB", False), ("ZZZ", True)]
            answer = (await client.get("/prices", params={"symbols": "AAA,BBB,ZZZ"})).json()
        own, other, last = answer["results"]
        # The account's own bars come before the server's of the same symbol, and are never cut.
        assert own["values"]["close"] == [7, 8, 9, 10]
        assert own["dataset"] == {"name": "mine", "version": 1, "digest": record.digest}
        assert other["timestamps"] == ["2020-01-05"]
        assert "dataset" not in other
        assert last["timestamps"] == ["2020-01-01", "2020-01-02", "2020-01-03"]

        second = table(rows("AAA", 4, close=50))
        await uploaded(store, objects, owner, {"a.csv": second}, CONTRACT)
        async with client_of(store, routes, caller=owner) as client:
            (now,) = (await client.get("/prices", params={"symbols": "AAA"})).json()["results"]
            assert (now["data_version"], now["values"]["close"][0]) == (2, 50)
            _, garbage = await removing.delete(store.engine, owner.account_id, Reference(name="mine"), Actor("test"))
            assert len(garbage) > 3
            seen = (await client.get("/symbols")).json()["items"]
            assert [(each["symbol"], each["own"]) for each in seen] == [("AAA", False), ("BBB", False)]


async def test_bars_of_a_set_are_located_by_its_name(store: Store, objects: ObjectStore) -> None:
    owner, stranger = await account_of(store), await account_of(store)
    files = {
        "eurusd.csv": table(
            [f"2024-01-01T{hour:02}:00:00Z,1,3,1,2" for hour in range(9)], header="time,open,high,low,close"
        )
    }
    record = await uploaded(store, objects, owner, files, {"time_column": "time", "volume": None})
    assert record.state is State.VALID
    stored = StoredPrices(store.engine)
    for name in (str(record.id), "mine@1", "mine"):
        (located,) = await stored.locate_dataset(owner.account_id, BarsReference(name), "/dataset")
        assert (located.symbol, located.interval, located.bars, located.own) == ("eurusd", Interval.HOUR, 9, True)
        assert located.dataset is not None
        assert located.dataset.digest == record.digest
    for reference, pointer in (
        (BarsReference("mine@2"), "/at/dataset"),
        (BarsReference("mine@x"), "/at/dataset"),
        (BarsReference("mine", ("eurusd", "x")), "/at/symbols/1"),
        (BarsReference("mine", interval=Interval.DAY), "/at/dataset"),
    ):
        with pytest.raises(Problem) as refused:
            await stored.locate_dataset(owner.account_id, reference, "/at")
        assert refused.value.extra["errors"][0]["pointer"] == pointer
    with pytest.raises(Problem):
        await stored.locate_dataset(stranger.account_id, BarsReference(str(record.id)), "")
