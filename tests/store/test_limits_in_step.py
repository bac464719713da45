"""Revision 0005 and the release before it: each writes rows and keys as it knows them, and both decide alike."""

import asyncio
import json
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row
from redis.asyncio import Redis
from tests.store.stores import Caller, Store

from luna_store.limits import in_force
from luna_store.platform.schema import migrate
from luna_store.quota.debits import Debit, Outcome

EARLIER_SCRIPT = (Path(__file__).parent / "earlier_release" / "debit.lua").read_text()
OPEN = {"*": ["*"]}
COLUMNS = "allowed_models, max_series_length, max_series_per_request, history_days, allowed, limits"


def account_key(caller: Caller) -> str:
    return f"account:{{{caller.account_id}}}"


async def columns(store: Store, account_id: int) -> tuple[object, ...]:
    query = f"SELECT json_build_array({COLUMNS}) FROM accounts WHERE id = :id"
    return tuple(await store.scalar(query, id=account_id))


@pytest.mark.parametrize(
    ("written", "limits", "allowed"),
    [
        ("allowed_models = '{arima,local_level}'", {}, {"kalman": ["arima", "local_level"]} | OPEN),
        ("allowed_models = '{*}'", {}, OPEN),
        ("max_series_length = 5, history_days = 7", {"max_series_length": 5, "history_days": 7}, OPEN),
        ("max_series_per_request = 3", {"max_series_per_request": 3}, OPEN),
    ],
)
async def test_what_the_earlier_release_writes_is_in_the_new_columns(
    store: Store, written: str, limits: dict[str, int], allowed: dict[str, list[str]]
) -> None:
    caller = await store.account()
    await store.execute(f"UPDATE accounts SET {written} WHERE id = :id", id=caller.account_id)
    assert (await columns(store, caller.account_id))[4:] == (allowed, limits)
    names, values = zip(*(pair.split(" = ") for pair in written.split(", ")), strict=True)
    insert = f"INSERT INTO accounts (account_name, {', '.join(names)}) VALUES ('x/y', {', '.join(values)}) RETURNING id"
    async with store.engine.begin() as connection:
        made = (await connection.exec_driver_sql(insert)).scalar_one()
    assert (await columns(store, made))[4:] == (allowed, limits)


async def test_the_earlier_release_lifts_a_limit_and_leaves_those_that_it_does_not_know(store: Store) -> None:
    limits = {"max_series_length": 5, "of_a_later_release": 9}
    caller = await store.account()
    await store.accounts.update(caller.account_id, limits=limits)
    await store.execute("UPDATE accounts SET max_series_length = NULL, history_days = 2")
    assert (await columns(store, caller.account_id))[5] == {"of_a_later_release": 9, "history_days": 2}


@pytest.mark.parametrize(
    ("allowed", "models"),
    [
        (OPEN, ["*"]),
        ({"kalman": ["arima"]} | OPEN, ["arima"]),
        ({"kalman": ["arima", "local_level"], "indicators": ["sma"]}, ["arima", "local_level"]),
        ({"indicators": ["sma"]}, []),
        ({"kalman": ["*"]}, ["*"]),
    ],
)
async def test_what_this_release_writes_is_in_the_earlier_columns(
    store: Store, allowed: dict[str, list[str]], models: list[str]
) -> None:
    caller = await store.account(allowed=allowed, limits={"max_series_length": 5, "history_days": 7})
    assert await columns(store, caller.account_id) == (
        models,
        5,
        None,
        7,
        allowed,
        {"max_series_length": 5, "history_days": 7},
    )
    await store.accounts.update(caller.account_id, allowed=OPEN, limits={"max_series_per_request": 2})
    assert await columns(store, caller.account_id) == (["*"], None, 2, None, OPEN, {"max_series_per_request": 2})
    await store.accounts.update(caller.account_id, allowed=allowed)
    assert (await columns(store, caller.account_id))[0] == models


async def test_a_change_of_something_else_changes_neither(store: Store) -> None:
    caller = await store.account(allowed={"indicators": ["sma"]}, limits={"max_series_length": 5})
    before = await columns(store, caller.account_id)
    await store.execute("UPDATE accounts SET quota_limit = 3")
    assert await columns(store, caller.account_id) == before


def test_rows_of_the_earlier_release_are_migrated(fresh_database: str) -> None:
    migrate(fresh_database, "0004")
    with psycopg.connect(fresh_database, autocommit=True, row_factory=dict_row) as sql:
        sql.execute("INSERT INTO accounts (account_name) VALUES ('a/plain')")
        sql.execute(
            "INSERT INTO accounts (account_name, allowed_models, max_series_length, history_days) "
            "VALUES ('b/limited', '{arima}', 5, 7)"
        )
        migrate(fresh_database)
        rows = sql.execute(f"SELECT {COLUMNS} FROM accounts ORDER BY account_name").fetchall()
    assert [(row["allowed"], row["limits"]) for row in rows] == [
        (OPEN, {}),
        ({"kalman": ["arima"]} | OPEN, {"max_series_length": 5, "history_days": 7}),
    ]


async def as_the_earlier_release_wrote_it(store: Store, caller: Caller) -> None:
    """Its hash: without the fields that it does not know."""
    assert await store.redis.hdel(account_key(caller), "allowed", "limits") == 2


@pytest.mark.parametrize(
    ("account", "units", "length", "model", "outcome", "exceeded"),
    [
        ({}, 500, 10**6, "arima", Outcome.OK, None),
        ({"max_series_per_request": 3}, 3, 10, "arima", Outcome.OK, None),
        ({"max_series_per_request": 3}, 4, 10, "arima", Outcome.LIMIT, "max_series_per_request"),
        ({"max_series_length": 9}, 1, 10, "arima", Outcome.LIMIT, "max_series_length"),
        ({"allowed_models": ["arima", "local_level"]}, 1, 1, "local_level", Outcome.OK, None),
        ({"allowed_models": ["arima", "local_level"]}, 1, 1, "local", Outcome.GRANT, None),
    ],
)
async def test_this_release_decides_by_a_hash_of_the_earlier_one(
    store: Store,
    account: dict[str, object],
    units: int,
    length: int,
    model: str,
    outcome: Outcome,
    exceeded: str | None,
) -> None:
    caller = await store.account(**account)
    await as_the_earlier_release_wrote_it(store, caller)
    [decision] = await store.quota.debit([caller.debit(units, length=length, model=model)])
    assert (decision.outcome, decision.exceeded) == (outcome, exceeded)
    limits = {name: value for name, value in account.items() if name.startswith("max_")}
    assert decision.standing.limits == limits


async def test_a_hash_of_the_earlier_release_has_drifted(store: Store) -> None:
    caller = await store.account()
    await as_the_earlier_release_wrote_it(store, caller)
    assert await store.cache.drifted([caller.account_id]) == {caller.account_id}
    await store.cache.rebuild(caller.account_id)
    assert await store.cache.drifted([caller.account_id]) == set()


async def earlier_code(redis: Redis, debit: Debit) -> str:
    """What the earlier release's script answers."""
    account, owner = f"account:{{{debit.account_id}}}", f"user:{{{debit.account_id}}}"
    keys = [account, f"{owner}:quota", f"{owner}:rate", f"{owner}:events"]
    digests = ",".join(debit.key_digests)
    model = debit.grant.name if debit.grant else ""
    longest = debit.amounts.get("max_series_length", 0)
    answer = await redis.eval(
        EARLIER_SCRIPT, 4, *keys, debit.key_prefix, digests, model, debit.units, debit.debit_id.hex, "kalman", longest
    )
    return answer[0]


EARLIER_CODES = {
    (Outcome.GRANT, None): "model",
    (Outcome.LIMIT, "max_series_per_request"): "series",
    (Outcome.LIMIT, "max_series_length"): "length",
}


@pytest.mark.parametrize(
    "account",
    [
        {},
        {"allowed_models": ["arima"]},
        {"allowed": {"kalman": ["local_level"], "indicators": ["*"]}},
        {"allowed": {"indicators": ["*"]}},
        {"limits": {"max_series_length": 5}},
        {"limits": {"max_series_per_request": 2, "max_series_length": 5, "history_days": 3}},
    ],
)
async def test_the_earlier_release_decides_alike_by_a_hash_of_this_one(
    store: Store, account: dict[str, object]
) -> None:
    caller = await store.account(**account)
    for units, length in ((1, 5), (3, 5), (1, 6)):
        for model in ("arima", "local_level"):
            debit = caller.debit(units, length=length, model=model)
            [decision] = await store.quota.debit([debit])
            wanted = EARLIER_CODES.get((decision.outcome, decision.exceeded), str(decision.outcome))
            assert await earlier_code(store.redis, debit) == wanted


async def test_both_releases_change_accounts_at_once_and_the_columns_agree(store: Store) -> None:
    caller = await store.account()

    async def earlier(round_: int) -> None:
        await store.execute(f"UPDATE accounts SET max_series_length = {round_ + 1}, allowed_models = '{{m{round_}}}'")

    async def later(round_: int) -> None:
        allowed = {"kalman": [f"n{round_}"], "*": ["*"]}
        await store.accounts.update(caller.account_id, limits={"max_series_length": 100 + round_}, allowed=allowed)

    await asyncio.gather(*(write(i) for i in range(20) for write in (earlier, later)))
    models, longest, _, _, allowed, limits = await columns(store, caller.account_id)
    assert limits == {"max_series_length": longest}
    assert allowed == {"kalman": models, "*": ["*"]}


async def test_the_hash_of_both_says_what_the_rows_say(store: Store) -> None:
    caller = await store.account(allowed={"indicators": ["sma"], "kalman": ["b", "a"]}, limits={"max_series_length": 5})
    held = await store.redis.hgetall(account_key(caller))
    assert json.loads(held["allowed"]) == {"indicators": ["sma"], "kalman": ["b", "a"]}
    assert json.loads(held["limits"]) == in_force({"max_series_length": 5})
    assert (held["models"], held["max_length"], held["max_series"]) == ("\nb\na\n", "5", "0")
