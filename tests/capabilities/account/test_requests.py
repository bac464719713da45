"""`GET /api/v1/requests` shows an account its own requests: all of them, once, in three forms."""

import asyncio
import io
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pyarrow.csv
import pyarrow.parquet
import pytest
from sqlalchemy import insert
from tests.access.logged import logged
from tests.store.stores import Caller, Store

from luna_serving.capabilities.account.capability import ACCOUNT
from luna_serving.capabilities.account.loops import purge
from luna_serving.capabilities.account.requests.loops import retention
from luna_serving.jobs.background import Background
from luna_serving.jobs.forgetting import forgetting
from luna_store.ledger import orphans
from luna_store.platform.leases import Lease, acquire
from luna_store.platform.partitions import Days, ensure_partitions
from luna_store.requests import reading
from luna_store.requests.retention import make_days
from luna_store.requests.tables import RequestRow

JSON = {"Content-Type": "application/json"}
NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.fixture
async def lease(store: Store) -> Lease:
    lease = await acquire(store.engine, "loop:test", "test", lasts_s=60)
    assert lease is not None
    return lease


async def put(store: Store, caller: Caller, *rows: dict[str, Any]) -> None:
    """Rows as the writer leaves them, of one instant unless they say otherwise."""
    plain = {"at": NOON, "account_id": caller.account_id, "principal": caller.key.prefix, "method": "POST"}
    plain |= {"route": "kalman/filter", "status": 200, "milliseconds": 1.5, "bytes": 7, "address": "203.0.113.0/24"}
    async with store.engine.begin() as connection:
        for number, row in enumerate(rows):
            await connection.execute(
                insert(RequestRow).values(**plain | {"id": number, "request_id": uuid.uuid4().hex} | row)
            )


async def test_a_call_is_in_the_list_of_its_account_within_seconds_and_in_no_other(store: Store) -> None:
    caller, other = await store.account(), await store.account()
    async with logged(store) as luna, luna.client(caller) as client, luna.client(other) as theirs:
        answer = await client.post("/api/v1/echo", content='"hello"', headers=JSON | {"X-Request-ID": "mine"})
        async with asyncio.timeout(20):
            while not (found := (await client.get("/api/v1/requests?route=echo")).json())["items"]:  # noqa: ASYNC110  at most a flush later
                await asyncio.sleep(0.05)
        listed = await theirs.get("/api/v1/requests?route=echo")
        forbidden = await theirs.get(f"/api/v1/{caller.account_id}/requests")
    (item,) = found["items"]
    assert found["next_cursor"] is None
    assert item.pop("milliseconds") > 0
    assert datetime.now(UTC) - datetime.fromisoformat(item.pop("at")) < timedelta(minutes=1)
    assert item == {
        "route": "echo",
        "method": "POST",
        "status": 200,
        "bytes": len(answer.content),
        "request_id": "mine",
        "address": "127.0.0.0/24",
        "principal": caller.key.prefix,
    }
    assert listed.json()["items"] == []
    assert forbidden.status_code == 403


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("route=kalman/filter", "ad"),
        ("method=GET", "bc"),
        ("status=404", "b"),
        ("status=4xx", "bd"),
        ("status=2xx&method=POST", "a"),
        ("request_id=id-c", "c"),
        ("principal=user:6f9b1f9e-0000-4000-8000-000000000000", "d"),
        ("since=2026-11-21T12:00:01Z", "bcd"),
        ("until=2026-11-21T12:00:01Z", "a"),
        ("since=2026-11-21T13:00:01%2B01:00&until=2026-11-21T12:00:03", "bc"),
        ("route=nowhere", ""),
    ],
)
async def test_filters_show_what_they_say(store: Store, query: str, found: str) -> None:
    caller = await store.account()
    person = "user:6f9b1f9e-0000-4000-8000-000000000000"
    await put(
        store,
        caller,
        {"request_id": "id-a"},
        {"request_id": "id-b", "route": "usage", "method": "GET", "status": 404, "at": NOON + timedelta(seconds=1)},
        {"request_id": "id-c", "route": "usage", "method": "GET", "at": NOON + timedelta(seconds=2)},
        {"request_id": "id-d", "status": 429, "principal": person, "at": NOON + timedelta(seconds=3)},
    )
    async with logged(store) as luna, luna.client(caller) as client:
        items = (await client.get(f"/api/v1/requests?{query}")).json()["items"]
    assert [item["request_id"] for item in items] == [f"id-{letter}" for letter in reversed(found)]


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("status=600", "/query/status"),
        ("status=4x", "/query/status"),
        ("method=get", "/query/method"),
        ("route=%00", "/query/route"),
        ("request_id=%0a", "/query/request_id"),
        ("principal=a%20b", "/query/principal"),
        ("since=2026-01-02&until=2026-01-01", "/query/since"),
        ("since=0001-01-01T00:00:00%2B10:00", "/query/since"),
        ("limit=1001", "/query/limit"),
        ("cursor=abc", "/query/cursor"),
        ("statuses=200", "/query/statuses"),
    ],
)
async def test_a_wrong_parameter_is_named(store: Store, query: str, pointer: str) -> None:
    caller = await store.account()
    async with logged(store) as luna, luna.client(caller) as client:
        answer = await client.get(f"/api/v1/requests?{query}")
    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


async def every_page(client: httpx.AsyncClient, query: str, **between: Any) -> list[str]:
    seen: list[str] = []
    cursor = ""
    for _ in range(1000):
        answer = await client.get(f"/api/v1/requests?{query}{cursor}")
        page = answer.json()
        assert answer.headers.get("next-cursor") == page["next_cursor"]
        seen += [item["request_id"] for item in page["items"]]
        if page["next_cursor"] is None:
            return seen
        cursor = f"&cursor={page['next_cursor']}"
        if between:
            await put(between["store"], between["caller"], {"at": datetime.now(UTC), "id": len(seen) + 10**6})
    raise AssertionError("the pages do not end")


@pytest.mark.parametrize("query", ["limit=7", "limit=7&until=2026-11-22", "limit=7&status=200", "limit=3&status=418"])
async def test_pages_cover_everything_exactly_once_while_rows_arrive(
    store: Store, query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Fewer rows per look, so that there are short and empty pages.
    monkeypatch.setattr(reading.page, "__kwdefaults__", {"scanned": 10})
    caller = await store.account()
    # Runs of rows of the same instant, longer than a page.
    rows = [
        {"request_id": f"r{n}", "at": NOON + timedelta(seconds=n // 20), "status": 418 if n % 25 == 0 else 200}
        for n in range(100)
    ]
    await put(store, caller, *rows)
    expected = [row["request_id"] for row in rows if f"status={row['status']}" in query or "status" not in query]
    async with logged(store) as luna, luna.client(caller) as client:
        seen = await every_page(client, query, store=store, caller=caller)
    ours = [name for name in seen if name.startswith("r")]
    assert ours == expected[::-1]
    assert len(set(seen)) == len(seen)


async def test_csv_and_parquet_hold_what_json_does(store: Store) -> None:
    caller = await store.account()
    await put(store, caller, *({"at": NOON + timedelta(milliseconds=n), "milliseconds": n / 8} for n in range(5)))
    await put(store, caller, {"id": 9, "address": None, "request_id": "=A1+A2"})
    async with logged(store) as luna, luna.client(caller) as client:
        answers = [
            await client.get("/api/v1/requests?limit=6&until=2026-11-22", headers={"Accept": form})
            for form in ("application/json", "text/csv", "application/vnd.apache.parquet")
        ]
        refused = await client.get("/api/v1/requests", headers={"Accept": "image/png"})
    assert [answer.headers["content-type"].partition(";")[0] for answer in answers] == [
        "application/json",
        "text/csv",
        "application/vnd.apache.parquet",
    ]
    items = answers[0].json()["items"]
    for item in items:
        item["at"] = datetime.fromisoformat(item["at"])
    assert pyarrow.parquet.read_table(io.BytesIO(answers[2].content)).to_pylist() == items
    as_text = pyarrow.csv.ConvertOptions(strings_can_be_null=True)
    read = pyarrow.csv.read_csv(io.BytesIO(answers[1].content), convert_options=as_text).to_pylist()
    # Spreadsheets would compute it.
    assert [row["request_id"] for row in read if "A1" in row["request_id"]] == ["'=A1+A2"]
    for row in read:
        row["request_id"] = row["request_id"].removeprefix("'")
    assert read == items
    assert refused.status_code == 406


async def days_of(store: Store) -> set[str]:
    found = await store.scalar(
        "SELECT array_agg(inhrelid::regclass::text) FROM pg_inherits WHERE inhparent = 'request_log'::regclass"
    )
    return {name.removeprefix("request_log_") for name in found if name != "request_log_default"}


async def test_days_are_made_ahead_and_a_row_at_midnight_finds_its_own(store: Store) -> None:
    caller = await store.account()
    midnight = datetime(2031, 3, 1, tzinfo=UTC)
    for _ in range(2):
        async with store.engine.begin() as connection:
            await make_days(connection, midnight - timedelta(seconds=1))
    assert await days_of(store) == {"y2031m02d28", *(f"y2031m03d{day:02}" for day in range(1, 8))}
    moments = [midnight - timedelta(microseconds=1), midnight, midnight + timedelta(days=30)]
    await put(store, caller, *({"at": at, "request_id": f"{at}"} for at in moments))
    places = await store.scalar("SELECT array_agg(tableoid::regclass::text ORDER BY at) FROM request_log")
    assert places == ["request_log_y2031m02d28", "request_log_y2031m03d01", "request_log_default"]
    async with logged(store) as luna, luna.client(caller) as client:
        items = (await client.get("/api/v1/requests?since=2031-01-01")).json()["items"]
    assert [item["request_id"] for item in items] == [f"{at}" for at in reversed(moments)]


async def test_days_without_workers_fill_the_default_and_are_removed_in_time(store: Store, lease: Lease) -> None:
    caller = await store.account()
    now = datetime.now(UTC)
    ages = [0, 1, 29, 31, 32, 100]
    await put(store, caller, *({"at": now - timedelta(days=age), "request_id": str(age)} for age in ages))
    await retention(30).run(Background(store.engine, store.redis), lease)
    # Today's rows are in the default partition, and stay there; tomorrow has its own.
    assert await days_of(store) == {f"{now + timedelta(days=day):y%Ym%md%d}" for day in range(1, 8)}
    assert await store.scalar("SELECT array_agg(request_id ORDER BY at DESC) FROM request_log") == ["0", "1", "29"]


async def test_old_days_are_dropped_and_no_others(store: Store, lease: Lease) -> None:
    caller = await store.account()
    now = datetime.now(UTC)
    async with store.engine.begin() as connection:
        for age in (40, 32):
            await ensure_partitions(connection, "request_log", now - timedelta(days=age), Days(ahead=1))
    before = await days_of(store)
    await put(store, caller, *({"at": now - timedelta(days=age), "request_id": str(age)} for age in (40, 32, 31, 30)))
    await retention(30).run(Background(store.engine, store.redis), lease)
    # The 31st day before today ends after the instant 30 days ago began: rows are kept for 30 days at least.
    assert before - await days_of(store) == {f"{now - timedelta(days=age):y%Ym%md%d}" for age in (40, 39, 32, 31)}
    assert await store.scalar("SELECT array_agg(request_id) FROM request_log") == ["30"]


async def test_an_account_that_is_deleted_with_its_data_leaves_no_row(
    store: Store, lease: Lease, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orphans, "ROWS_AT_ONCE", 2)
    kept, removed = await store.account(), await store.account()
    stores = Background(store.engine, store.redis)
    for caller in (kept, removed):
        await put(store, caller, *({} for _ in range(5)))
    await put(store, kept, {"account_id": None, "principal": None})
    await store.accounts.delete(removed.account_id, retain=False)
    await forgetting({"account": ACCOUNT.forget}).run(stores, lease)
    accounts = "SELECT array_agg(account_id ORDER BY account_id) FROM request_log"
    assert await store.scalar(accounts) == [kept.account_id] * 5 + [None]
    await put(store, removed, {}, {}, {})  # answered during the deletion, written later
    await purge(stores, lease)
    assert await store.scalar(accounts) == [kept.account_id] * 5 + [None]
