"""A named model on the way of a call: which version, how many questions to Postgres, and what goes on without it."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx
import orjson
import psutil
import pytest
from prometheus_client import CollectorRegistry
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.edge.running import refused_of
from tests.store.stores import PEPPERS, Caller, Store

from luna_serving.access.credentials import Authenticator
from luna_serving.access.tokens import Tokens
from luna_serving.access.wiring import access
from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.models import lookup as named_models
from luna_serving.capabilities.kalman.models.cache import MAX_NAMES, ModelCache
from luna_serving.capabilities.kalman.models.documents import TAGS, read_document
from luna_serving.capabilities.kalman.models.lookup import NamedModels
from luna_serving.capabilities.kalman.store.models import ModelLimits, Models
from luna_serving.capabilities.kalman.wire.model import read_model
from luna_serving.capabilities.kalman.wire.named_model import NamedModel
from luna_serving.capabilities.kalman.wire.requests import Wire
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.dispatch.gate import Gate, GateLimits
from luna_serving.edge.asgi import Edge
from luna_serving.edge.operation import Operation
from luna_serving.edge.recording import Recorder
from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.telemetry.metrics import AccessMetrics, DispatchMetrics, RequestMetrics
from luna_serving.wire.conditions import Conditions
from luna_serving.wire.problems import Problem
from luna_store.accounts.accounts import Accounts, AccountSpec
from luna_store.accounts.api_keys import ApiKey
from luna_store.platform.postgres import async_engine
from luna_store.platform.schema import migrate

ROOM = ModelLimits(models=1000, bytes=1_000_000)
LIMITS = SeriesLimits(max_series_length=1000, max_series_per_request=10, max_answer_numbers=10_000)

METRICS = DispatchMetrics(CollectorRegistry()).of("kalman")


def level(obs_var: float) -> dict[str, Any]:
    return {"kind": "local_level", "level_var": 1.0, "obs_var": obs_var}


def spec(obs_var: float) -> ModelSpec:
    return read_model(level(obs_var))


async def put(models: Models, account_id: int, name: str, obs_var: float) -> int:
    document = read_document(orjson.dumps(level(obs_var)), name)
    stored, _ = await models.put(account_id, name, document.kind, document.text)
    return stored.info.version


def over(models: Models, **changes: Any) -> NamedModels:
    return NamedModels(models, **({"cache_bytes": 100_000, "timeout_s": 2.0} | changes))


@contextmanager
def questions(engine: AsyncEngine) -> Iterator[list[str]]:
    """The statements that reach Postgres meanwhile."""
    asked: list[str] = []

    def note(connection: object, cursor: object, statement: str, *_: object) -> None:
        asked.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine.sync_engine, "before_cursor_execute", note)


async def refused(question: Any) -> tuple[int, str]:
    with pytest.raises(Problem) as refusal:
        await question
    return refusal.value.status, refusal.value.extra.get("errors", [{"pointer": None}])[0]["pointer"]


@pytest.fixture
def models(store: Store) -> Models:
    return Models(store.engine, ROOM)


async def test_without_a_version_the_latest_is_asked_for_every_time(store: Store, models: Models) -> None:
    account = (await store.account()).account_id
    named = over(models)
    for obs_var in (1.0, 2.0, 3.0):
        await put(models, account, "m", obs_var)
        assert named.at_hand(account, NamedModel(name="m")) is None
        assert await named.look_up(account, NamedModel(name="m")) == spec(obs_var)
    with questions(store.engine) as asked:
        await named.look_up(account, NamedModel(name="m"))
    assert len(asked) == 1  # the document is in memory


async def test_a_version_comes_from_memory_once_it_was_seen(store: Store, models: Models) -> None:
    account = (await store.account()).account_id
    await put(models, account, "m", 1.0)
    await put(models, account, "m", 2.0)
    named, first = over(models), NamedModel(name="m", version=1)
    assert named.at_hand(account, first) is None
    assert await named.look_up(account, first) == spec(1.0)
    with questions(store.engine) as asked:
        assert named.at_hand(account, first) == spec(1.0)
    assert asked == []
    assert named.at_hand(account + 1, first) is None


async def test_a_deleted_version_is_refused_within_the_time_that_is_promised(
    store: Store, models: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(named_models, "CONFIRMED_S", 0.2)
    account = (await store.account()).account_id
    await put(models, account, "m", 1.0)
    named, first = over(models), NamedModel(name="m", version=1)
    await named.look_up(account, first)
    deleted_at = time.monotonic()
    await models.delete(account, "m")
    while named.at_hand(account, first) is not None:
        # Of 0.2 s, and what a busy machine adds; by default it is a minute.
        assert time.monotonic() - deleted_at < 5.0
        await asyncio.sleep(0.01)
    assert await refused(named.look_up(account, first)) == (422, "/model/name")
    await put(models, account, "m", 2.0)
    assert await refused(named.look_up(account, first)) == (422, "/model/version")
    assert await named.look_up(account, NamedModel(name="m")) == spec(2.0)


async def test_many_calls_at_once_are_few_questions(store: Store, models: Models) -> None:
    account, other = (await store.account()).account_id, (await store.account()).account_id
    for name, obs_var in (("a", 1.0), ("b", 2.0)):
        await put(models, account, name, obs_var)
    await put(models, other, "a", 3.0)
    named = over(models)
    wanted = [
        (account, NamedModel(name="a")),
        (account, NamedModel(name="b", version=1)),
        (other, NamedModel(name="a")),
        (other, NamedModel(name="b")),
        (account, NamedModel(name="a", version=2)),
    ]
    with questions(store.engine) as asked:
        answers = await asyncio.gather(*(named.look_up(*w) for w in wanted * 40), return_exceptions=True)
    assert answers[:3] == [spec(1.0), spec(2.0), spec(3.0)]
    for found, pointer in zip(answers[3:5], ("/model/name", "/model/version"), strict=True):
        assert isinstance(found, Problem)
        assert found.extra["errors"][0]["pointer"] == pointer
    assert answers[5:8] == answers[:3]
    assert len({id(a) for a in answers if isinstance(a, Problem)}) == 80  # each caller's own: it carries his standing
    assert len(asked) <= 4


async def test_memory_is_bounded_and_nothing_is_wrong_without_it(store: Store, models: Models) -> None:
    account = (await store.account()).account_id
    for i in range(4):
        await put(models, account, f"m{i}", float(i))
    size = len(read_document(orjson.dumps(level(1.0)), "m").text)
    named = over(models, cache_bytes=2 * size)
    references = [NamedModel(name=f"m{i}", version=1) for i in range(4)]
    assert await asyncio.gather(*(named.look_up(account, r) for r in references)) == [spec(i) for i in range(4)]
    assert sum(named.at_hand(account, r) is not None for r in references) == 2
    nothing = over(models, cache_bytes=0)
    for _ in range(2):
        assert await nothing.look_up(account, references[3]) == spec(3)


async def test_a_stored_model_that_no_longer_passes_is_named(store: Store, models: Models) -> None:
    account = (await store.account()).account_id
    await put(models, account, "m", 1.0)
    await store.execute("""UPDATE model_versions SET document = '{"kind":"local_level","obs_var":-1}'""")
    with pytest.raises(Problem, match="Version 1 of 'm' no longer passes: /model/obs_var") as refusal:
        await over(models).look_up(account, NamedModel(name="m"))
    assert refusal.value.extra["errors"][0]["pointer"] == "/model/name"


@pytest.fixture(scope="module")
def own_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    folder = tmp_path_factory.mktemp("own")
    with PostgresServer(folder / "data", folder) as server:
        yield server


@pytest.fixture
async def own_postgres(own_server: PostgresServer) -> AsyncIterator[tuple[PostgresServer, AsyncEngine]]:
    migrate(own_server.url)
    engine = async_engine(own_server.url)
    yield own_server, engine
    await engine.dispose()


def hang(server: PostgresServer) -> Callable[[], None]:
    """Stop all of Postgres's processes; returns what lets them go on."""
    family = [psutil.Process(server.pid), *psutil.Process(server.pid).children(recursive=True)]
    for process in family:
        process.suspend()
    return lambda: [process.resume() for process in family] and None


def end(server: PostgresServer) -> Callable[[], None]:
    server.kill()
    return lambda: server.start() and None


@pytest.mark.parametrize("trouble", [end, hang])
async def test_without_postgres_what_is_in_memory_goes_on(
    own_postgres: tuple[PostgresServer, AsyncEngine],
    monkeypatch: pytest.MonkeyPatch,
    trouble: Callable[[PostgresServer], Callable[[], None]],
) -> None:
    monkeypatch.setattr(named_models, "CONFIRMED_S", 0.0)
    monkeypatch.setattr(named_models, "RETRY_S", 0.5)
    server, engine = own_postgres
    account, _ = await Accounts(engine, PEPPERS).create(AccountSpec(account_name=f"test/{trouble.__name__}"))
    models = Models(engine, ROOM)
    for name, obs_var in (("seen", 1.0), ("unseen", 1.0), ("seen", 2.0)):
        await put(models, account, name, obs_var)
    named, waits = over(models, timeout_s=0.5), []
    for version in (None, 1):
        await named.look_up(account, NamedModel(name="seen", version=version))
    mend = await asyncio.to_thread(trouble, server)
    try:
        for _ in range(20):
            started = time.monotonic()
            assert await named.look_up(account, NamedModel(name="seen")) == spec(2.0)
            assert await named.look_up(account, NamedModel(name="seen", version=1)) == spec(1.0)
            assert await refused(named.look_up(account, NamedModel(name="unseen"))) == (503, None)
            assert await refused(named.look_up(account, NamedModel(name="seen", version=7))) == (503, None)
            waits.append(time.monotonic() - started)
    finally:
        await asyncio.to_thread(mend)
    assert max(waits) < 1.0  # one question waits for its answer
    assert sorted(waits)[10] < 0.05  # and most are not even asked while the store is known to be gone
    async with asyncio.timeout(10):
        while True:
            try:
                assert await named.look_up(account, NamedModel(name="unseen", version=1)) == spec(1.0)
                break
            except Problem:
                await asyncio.sleep(0.1)


async def served(store: Store, models: Models, headers: dict[str, str], path: str, model: dict[str, Any]) -> Any:
    authenticator = Authenticator(PEPPERS, Tokens(PEPPERS, 900))
    wired = access(
        store.redis,
        store.quota,
        store.fallback,
        store.cache,
        store.accounts,
        authenticator,
        AccessMetrics(CollectorRegistry()),
        timeout_s=4,
    )

    async def compute(jobs: Any) -> list[bytes]:
        return [orjson.dumps(job.model.build().obs_cov.tolist()) for job in jobs]

    gate = Gate(
        wired.charges, compute, GateLimits(10, 1000, 10, 1, 5.0), DispatchMetrics(CollectorRegistry()).of("kalman")
    )
    parse = over(models).resolving(Wire(LIMITS).parse_original)

    async def rest(*_: object) -> None:
        raise AssertionError

    bounds: dict[str, Any] = {"max_body_bytes": 10**6, "timeout_s": 5}
    with ThreadPoolExecutor(1) as aside:
        edge = Edge(
            [Operation("kalman", gate, parse, capability="kalman")],
            wired.authorization,
            wired.charges,
            rest,
            rest,
            aside,
            Recorder(RequestMetrics(CollectorRegistry())),
            refused_of(wired),
            **bounds,
        )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(edge), base_url="http://luna", headers=headers
    ) as client:
        return await client.post(path, json={"results": [1.0], "model": model})


async def test_only_an_accounts_own_caller_makes_us_ask_for_its_models(
    store: Store, migrated_database: str, models: Models
) -> None:
    ours, theirs = await store.account(), await store.account()
    engine = async_engine(migrated_database)
    apart = Models(engine, ROOM)
    await put(models, ours.account_id, "m", 1.0)

    def keys(caller: Caller) -> dict[str, str]:
        return {"X-API-Key": caller.key.secret}

    with questions(engine) as asked:
        for headers, status in (({"X-API-Key": ApiKey.issue().secret}, 401), (keys(theirs), 403)):
            for model in ({"name": "m"}, {"name": "m", "version": 1}, {"name": "none"}):
                answer = await served(store, apart, headers, f"/api/v1/{ours.account_id}/kalman", model)
                assert answer.status_code == status
        assert asked == []
        answer = await served(store, apart, keys(ours), f"/api/v1/{ours.account_id}/kalman", {"name": "m"})
        assert answer.status_code == 200
        assert asked != []
    await engine.dispose()
    assert await store.left(ours.account_id) == 499


def test_the_least_recently_used_leaves_memory_first() -> None:
    cache = ModelCache(30)
    a, b, c = (1, "a", 1), (1, "b", 1), (1, "c", 1)
    for key in (a, b, a):
        cache.keep(key, spec(1), 10, now=0)
    cache.keep(c, spec(1), 10, now=0)
    assert all(cache.get(key) for key in (b, c, a))
    cache.keep((1, "d", 1), spec(1), 10, now=0)
    assert [cache.get(key) is not None for key in (a, b, c)] == [True, False, True]
    cache.keep((1, "large", 1), spec(1), 31, now=0)
    assert not any(cache.get(key) for key in (a, c, (1, "d", 1), (1, "large", 1)))
    cache.keep(a, spec(1), 30, now=0)
    assert cache.get(a) == spec(1)


def test_what_was_not_confirmed_lately_is_not_at_hand() -> None:
    cache, key = ModelCache(100), (1, "a", 1)
    cache.keep(key, spec(1), 10, now=5.0)
    assert cache.get(key, confirmed_since=5.0) is not None
    assert cache.get(key, confirmed_since=5.1) is None
    cache.confirm(key, 6.0)
    cache.confirm(key, 5.5)
    assert cache.get(key, confirmed_since=6.0) is not None
    cache.forget(key)
    assert cache.get(key) is None


def test_latest_versions_are_remembered_up_to_a_number_of_names() -> None:
    cache = ModelCache(0)
    for i in range(MAX_NAMES + 1):
        cache.note_latest((1, f"m{i}"), 3)
    assert cache.latest((1, "m0")) is None
    assert cache.latest((1, "m1")) == cache.latest((1, f"m{MAX_NAMES}")) == 3
    cache.note_latest((1, "m1"), None)
    assert cache.latest((1, "m1")) is None


def test_equal_models_are_equal_texts() -> None:
    one = read_document(b'{"kind":"local_level","obs_var":1e22,"level_var":0.1}', "m")
    two = read_document(b'{"model": {"level_var": 0.10, "obs_var": 1.0e+22, "kind": "local_level"}, "name": "m"}', "m")
    assert one == two
    assert orjson.loads(one.text)["obs_var"] == 1e22


@pytest.mark.parametrize(
    ("match", "none_match", "expected"),
    [
        (None, None, Conditions()),
        (["*"], None, Conditions(exists=True)),
        (None, ["*"], Conditions(exists=False)),
        (['"3"'], None, Conditions(revisions=frozenset({3}))),
        (['"3", "4"', 'W/"5"'], None, Conditions(revisions=frozenset({3, 4}))),
        (["3"], None, Conditions(revisions=frozenset())),
        ([""], None, Conditions(revisions=frozenset())),
        (['"' + "9" * 5000 + '"'], None, Conditions(revisions=frozenset())),
    ],
)
def test_conditions_are_read_as_rfc_9110_has_them(
    match: list[str] | None, none_match: list[str] | None, expected: Conditions
) -> None:
    assert TAGS.conditions(match, none_match) == expected


def test_a_weak_tag_counts_where_nothing_is_written() -> None:
    assert TAGS.named('W/"1", "2"', weak=True) == {1, 2}
    assert TAGS.named('W/"1", "2"', weak=False) == {2}
