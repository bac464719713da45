"""A session on real stores: points and units agree after any failure between the charge and the commit."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import pytest
from tests.capabilities.kalman.streams.replica import LEVEL, Replica, count
from tests.store.stores import PEPPERS, Caller, Store

from luna_serving.access.credentials import Credential
from luna_serving.capabilities.kalman.store.models import ModelLimits, Models
from luna_serving.capabilities.kalman.streams.job import AppendJob
from luna_serving.capabilities.kalman.streams.session import Session
from luna_serving.dispatch.outcomes import ReplicaUnavailable
from luna_serving.edge.sockets import Closed, Socket
from luna_serving.wire import problems
from luna_store.ledger.holds import void_overdue


@asynccontextmanager
async def connected(replica: Replica, caller: Caller) -> AsyncIterator["Connection"]:
    connection = Connection(replica, caller)
    try:
        yield connection
    finally:
        connection.hang_up()
        with suppress(asyncio.CancelledError):
            await connection.task


class Connection:
    """The client's end of a socket in memory."""

    def __init__(self, replica: Replica, caller: Caller) -> None:
        self.said: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.heard: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.credential = Credential(caller.key.prefix, (PEPPERS.digest(caller.key),), key=caller.key)
        self.refusal: problems.Problem | None = None
        socket = Socket(caller.account_id, self.read_credential, self.said.get, self.heard.put)
        self.task = asyncio.create_task(self.run(Session(replica.desk, socket)))

    def read_credential(self) -> Credential:
        if self.refusal is not None:
            raise self.refusal
        return self.credential

    @staticmethod
    async def run(session: Session) -> None:
        with suppress(Closed):
            await session.run()

    def hang_up(self) -> None:
        self.said.put_nowait({"type": "websocket.disconnect", "code": 1006})

    async def hear(self) -> dict[str, Any]:
        message = await asyncio.wait_for(self.heard.get(), 20)
        return json.loads(message["text"]) if message["type"] == "websocket.send" else message

    async def ask(self, **words: Any) -> dict[str, Any]:
        self.said.put_nowait({"type": "websocket.receive", "text": json.dumps(words)})
        return await self.hear()

    async def open(self) -> str:
        return str((await self.ask(type="open", model=LEVEL))["stream"])

    async def points(self, sequence: int, values: list[float]) -> dict[str, Any]:
        return await self.ask(type="points", sequence=sequence, values=values)


async def used(store: Store, caller: Caller, *replicas: Replica) -> int:
    for replica in replicas:
        await replica.admission.settle_refunds()
    for _ in range(2):
        await store.settler.settle()
    assert await store.left(caller.account_id) == 500 - await store.used(caller.account_id)
    return await store.used(caller.account_id)


async def test_what_a_replica_that_died_after_the_charge_left_open_is_given_back_once(store: Store) -> None:
    caller, charged, revived = await store.account(), asyncio.Event(), asyncio.Event()

    async def hang(jobs: Sequence[AppendJob]) -> Sequence[Any]:
        charged.set()
        await revived.wait()
        return await count(jobs)

    dying, living = Replica(store, hang), Replica(store)
    async with connected(dying, caller) as first, connected(living, caller) as second:
        stream = await first.open()
        asking = asyncio.create_task(first.points(1, [1.0, 2.0]))
        await charged.wait()
        resumed = await second.ask(type="resume", stream=stream, after=0)
        assert resumed["sequence"] == 0
        assert await used(store, caller, living) == 0, "the charge that nobody answers for"
        assert (await second.points(1, [1.0, 2.0]))["points"] == [1, 2]
        # It was not dead after all.
        revived.set()
        assert (await asking)["code"] == 4001
        assert (await second.points(3, [3.0]))["points"] == [3]
    assert await used(store, caller, dying, living) == 2


async def test_a_commit_of_which_nobody_knows_is_looked_up_before_the_next(store: Store) -> None:
    caller, replica = await store.account(), Replica(store, store_s=0.5)
    async with connected(replica, caller) as client:
        await client.open()
        assert (await client.points(1, [1.0]))["points"] == [1]
        async with store.engine.begin() as connection:
            await connection.exec_driver_sql("LOCK TABLE kalman_stream_answers IN ACCESS EXCLUSIVE MODE")
            unknown = await client.points(2, [2.0])
        assert unknown["problem"]["status"] == 503
        assert (await client.points(2, [2.0]))["points"] == [2]
        assert (await client.points(3, [3.0]))["points"] == [3]
    assert await used(store, caller, replica) == 3


async def test_a_connection_that_ends_in_doubt_leaves_the_doubt_to_the_next(store: Store) -> None:
    caller, replica = await store.account(), Replica(store, store_s=0.5)
    async with connected(replica, caller) as client:
        stream = await client.open()
        async with store.engine.begin() as connection:
            await connection.exec_driver_sql("LOCK TABLE kalman_stream_answers IN ACCESS EXCLUSIVE MODE")
            assert (await client.points(1, [1.0]))["problem"]["status"] == 503
    async with connected(replica, caller) as client:
        assert (await client.ask(type="resume", stream=stream, after=0))["sequence"] == 0
        assert await used(store, caller, replica) == 0
        assert (await client.points(1, [1.0]))["points"] == [1]
    assert await used(store, caller, replica) == 1


async def test_a_model_that_fails_costs_nothing_and_the_next_try_costs_one(store: Store) -> None:
    caller, broken = await store.account(), True

    async def failing(jobs: Sequence[AppendJob]) -> Sequence[Any]:
        if broken:
            raise ReplicaUnavailable("gone")
        return await count(jobs)

    replica = Replica(store, failing)
    async with connected(replica, caller) as client:
        await client.open()
        for _ in range(3):
            assert (await client.points(1, [1.0]))["problem"]["status"] == 503
        assert await used(store, caller, replica) == 0
        broken = False
        assert (await client.points(1, [1.0]))["points"] == [1]
    assert await used(store, caller, replica) == 1


async def test_a_token_that_expires_ends_the_connection_and_not_the_stream(store: Store) -> None:
    caller, replica = await store.account(), Replica(store)
    async with connected(replica, caller) as client:
        stream = await client.open()
        assert (await client.points(1, [1.0]))["points"] == [1]
        client.refusal = problems.unauthenticated("The token has expired.")
        assert (await client.points(2, [2.0]))["problem"]["status"] == 401
        assert (await client.hear())["code"] == 1008
    async with connected(replica, caller) as client:
        assert (await client.ask(type="resume", stream=stream, after=1))["sequence"] == 1
    assert await used(store, caller, replica) == 1


async def test_a_connection_that_says_nothing_is_closed(store: Store) -> None:
    caller, replica = await store.account(), Replica(store, idle_s=0.2)
    async with connected(replica, caller) as client:
        await client.open()
        assert (await client.hear())["code"] == 4002


async def test_a_client_that_is_too_far_behind_is_told_from_where_it_can_go_on(store: Store) -> None:
    caller, replica = await store.account(), Replica(store, replay=3)
    async with connected(replica, caller) as client:
        stream = await client.open()
        for first in range(1, 8):
            await client.points(first, [0.0])
        again = await client.points(1, [0.0])
        assert (again["problem"]["status"], again["problem"]["oldest"]) == (410, 5)
    async with connected(replica, caller) as client:
        for after, status in ((0, 410), (8, 422)):
            assert (await client.ask(type="resume", stream=stream, after=after))["problem"]["status"] == status
        resumed = await client.ask(type="resume", stream=stream, after=4)
        assert (resumed["sequence"], resumed["replay_points"]) == (7, 3)
        assert [(await client.hear())["points"] for _ in range(3)] == [[5], [6], [7]]
        assert (await client.points(8, [0.0]))["points"] == [8]


async def test_a_charge_that_nobody_came_back_for_is_given_back_when_its_hold_is_overdue(store: Store) -> None:
    caller, charged = await store.account(), asyncio.Event()

    async def hang(jobs: Sequence[AppendJob]) -> Sequence[Any]:
        charged.set()
        await asyncio.Event().wait()
        return await count(jobs)

    dying = Replica(store, hang)
    client = Connection(dying, caller)
    await client.open()
    asking = asyncio.create_task(client.points(1, [1.0]))
    await charged.wait()
    await store.settler.settle()
    assert await store.used(caller.account_id) == 1
    assert await void_overdue(store.engine) == 0
    await store.execute("UPDATE holds SET until = now()")
    assert await void_overdue(store.engine) == 1
    assert await used(store, caller) == 0
    for task in (asking, client.task):
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    await asyncio.sleep(0.3)  # the gate has seen that the call was given up, and refunds it, too
    assert await used(store, caller, dying) == 0


async def test_a_stream_that_rests_longer_than_its_hold_goes_on_and_is_charged(store: Store) -> None:
    # A session charges a hold for one second after it was written: it leaves a message and a minute to spare.
    caller, replica = await store.account(), Replica(store, hold=timedelta(seconds=66))
    async with connected(replica, caller) as client:
        await client.open()
        assert (await client.points(1, [1.0]))["points"] == [1]
        await asyncio.sleep(1.1)
        await store.execute("UPDATE holds SET until = now()")
        assert await void_overdue(store.engine) == 1
        assert (await client.points(2, [2.0]))["points"] == [2]
        assert (await client.points(3, [3.0]))["points"] == [3]
    assert await used(store, caller, replica) == 3
    assert await store.scalar("SELECT count(*) FROM holds") == 0, "let go in good order"


async def test_an_account_has_as_many_streams_as_it_may(store: Store) -> None:
    caller, replica = await store.account(), Replica(store)
    for _ in range(10):
        async with connected(replica, caller) as client:
            await client.open()
    async with connected(replica, caller) as client:
        refused = await client.ask(type="open", model=LEVEL)
        assert refused["problem"]["status"] == 409
        assert "/kalman/streams" in refused["problem"]["detail"]


@pytest.mark.parametrize("model", [{"name": "mine"}, {"name": "mine", "version": 1}])
async def test_a_stored_model_is_taken_as_it_stands(store: Store, model: dict[str, Any]) -> None:
    caller, replica = await store.account(), Replica(store)
    models = Models(store.engine, ModelLimits(10, 10_000))
    await models.put(caller.account_id, "mine", "local_level", json.dumps(LEVEL))
    async with connected(replica, caller) as client:
        opened = await client.ask(type="open", model=model)
        stream = opened["stream"]
    await models.put(caller.account_id, "mine", "local_level", json.dumps({**LEVEL, "obs_var": 3.0}))
    (document,) = [await store.scalar("SELECT document FROM kalman_streams WHERE id = :id", id=stream)]
    assert json.loads(str(document))["fields"]["obs_var"] == 2.0


async def test_a_trend_without_an_end_and_null_regressors_are_refused_by_their_fields(store: Store) -> None:
    caller, replica = await store.account(), Replica(store)
    trend = {"kind": "arima", "order": [0, 0, 0], "var": 1.0, "trend": [1]}
    gap = {"kind": "structural", "obs_var": 1.0, "regression": {"regressors": [[1.0], None, [2.0]]}}
    async with connected(replica, caller) as client:
        refused = await client.ask(type="open", model=trend)
        assert refused["problem"]["errors"][0]["pointer"] == "/model/trend"
    async with connected(replica, caller) as client:
        await client.ask(type="open", model=gap)
        assert (await client.points(1, [1.0]))["points"] == [1]
        refused = await client.points(2, [3.0])
        assert refused["problem"]["errors"][0]["pointer"] == "/values"
        assert "point 2" in refused["problem"]["errors"][0]["detail"]
