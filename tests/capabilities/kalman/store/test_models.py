"""Named models in Postgres: numbers that are never given twice, and limits that hold under any interleaving."""

import asyncio
from dataclasses import replace

import psycopg
import pytest
from tests.store.stores import Store

from luna_serving.capabilities.kalman.store.models import (
    NAMES_PER_MODEL,
    VERSION_OVERHEAD_BYTES,
    ModelChanged,
    ModelLimitReached,
    ModelLimits,
    ModelNotFound,
    Models,
)
from luna_serving.wire.conditions import Conditions
from luna_store.accounts.accounts import AccountNotFound
from luna_store.platform.schema import migrate
from luna_store.platform.table import NAMING

LIMITS = ModelLimits(models=3, bytes=10_000)
A, B, C = (f'{{"kind":"local_level","obs_var":{v}.0}}' for v in (1, 2, 3))


@pytest.fixture
def models(store: Store) -> Models:
    return Models(store.engine, LIMITS)


async def put(models: Models, account_id: int, name: str, document: str = A, **expected: object) -> tuple[int, bool]:
    stored, is_new = await models.put(account_id, name, "local_level", document, Conditions(**expected))
    assert stored.document == document
    return stored.info.version, is_new


async def test_each_change_makes_a_version_and_a_repetition_none(store: Store, models: Models) -> None:
    account = (await store.account()).account_id
    assert [await put(models, account, "m", d) for d in (A, A, B, B, A)] == [
        (1, True),
        (1, False),
        (2, False),
        (2, False),
        (3, False),
    ]
    assert [(await models.get(account, "m", v)).document for v in (1, 2, 3, None)] == [A, B, A, A]
    newest_first = await models.versions(account, "m", limit=2)
    assert [(v.version, v.kind) for v in newest_first] == [(3, "local_level"), (2, "local_level")]
    assert [v.version for v in await models.versions(account, "m", limit=2, before=2)] == [1]
    assert newest_first[0].created_at > newest_first[1].created_at


async def test_a_deleted_name_goes_on_counting(store: Store, models: Models) -> None:
    account = (await store.account()).account_id
    await put(models, account, "m", A)
    await put(models, account, "m", B)
    await models.delete(account, "m")
    assert await models.spans([(account, "m")]) == {}
    assert await models.versions(account, "m", limit=9) == []
    assert await models.page(account, limit=9) == []
    for version in (None, 1, 2, 3):
        with pytest.raises(ModelNotFound, match="'m'"):
            await models.get(account, "m", version)
    with pytest.raises(ModelNotFound):
        await models.delete(account, "m")
    assert await put(models, account, "m", B) == (3, True)
    assert await models.spans([(account, "m")]) == {(account, "m"): range(3, 4)}
    with pytest.raises(ModelNotFound, match="version 2"):
        await models.get(account, "m", 2)


async def test_writers_at_once_take_different_numbers(store: Store, models: Models) -> None:
    account = (await store.account()).account_id
    documents = [f'{{"n":{i}}}' for i in range(8)]
    versions = await asyncio.gather(*(put(models, account, "m", d) for d in documents))
    assert sorted(versions) == [(1, True), *((n, False) for n in range(2, 9))]
    for document, (version, _) in zip(documents, versions, strict=True):
        assert (await models.get(account, "m", version)).document == document


async def test_of_writers_who_expect_the_same_version_one_wins(store: Store, models: Models) -> None:
    account = (await store.account()).account_id
    await put(models, account, "m", A)
    tries = await asyncio.gather(
        *(put(models, account, "m", d, revisions=frozenset({1})) for d in (B, C)), return_exceptions=True
    )
    (lost,) = [t for t in tries if isinstance(t, ModelChanged)]
    assert lost.latest == 2
    assert (2, False) in tries


@pytest.mark.parametrize(
    ("expected", "latest", "met"),
    [
        ({}, None, True),
        ({}, 3, True),
        ({"exists": True}, None, False),
        ({"exists": True}, 3, True),
        ({"exists": False}, None, True),
        ({"exists": False}, 3, False),
        ({"revisions": frozenset({2, 3})}, 3, True),
        ({"revisions": frozenset({2})}, 3, False),
        ({"revisions": frozenset({2})}, None, False),
        ({"revisions": frozenset({3}), "exists": False}, 3, False),
    ],
)
def test_an_expectation_is_met_by_what_it_names(expected: dict[str, object], latest: int | None, met: bool) -> None:
    assert Conditions(**expected).met_by(latest) is met


async def test_what_is_not_expected_is_neither_changed_nor_deleted(store: Store, models: Models) -> None:
    account = (await store.account()).account_id
    await put(models, account, "m", A)
    with pytest.raises(ModelChanged, match="at version 1"):
        await put(models, account, "m", B, exists=False)
    with pytest.raises(ModelChanged, match="does not exist"):
        await put(models, account, "n", B, exists=True)
    with pytest.raises(ModelChanged):
        await models.delete(account, "m", Conditions(revisions=frozenset({2})))
    assert (await models.get(account, "m")).document == A
    await models.delete(account, "m", Conditions(revisions=frozenset({1})))


async def test_the_limit_of_models_counts_the_living(store: Store, models: Models) -> None:
    account, other = (await store.account()).account_id, (await store.account()).account_id
    for name in ("a", "b", "c"):
        await put(models, account, name)
    with pytest.raises(ModelLimitReached, match="3 models"):
        await put(models, account, "d")
    assert await put(models, account, "c", B) == (2, False)
    assert await put(models, other, "d") == (1, True)
    await models.delete(account, "a")
    assert await put(models, account, "d") == (1, True)


async def test_writers_at_once_do_not_pass_the_limit(store: Store, models: Models) -> None:
    account = (await store.account()).account_id
    tries = await asyncio.gather(*(put(models, account, f"m{i}") for i in range(8)), return_exceptions=True)
    assert sum(isinstance(t, ModelLimitReached) for t in tries) == 5
    assert len(await models.page(account, limit=9)) == 3


async def test_bytes_are_counted_over_all_versions_and_freed_by_deletion(store: Store, models: Models) -> None:
    account = (await store.account()).account_id
    big = '"' + "x" * 4_900 + '"'
    assert len(big) + VERSION_OVERHEAD_BYTES > LIMITS.bytes / 2
    await put(models, account, "m", big)
    with pytest.raises(ModelLimitReached, match=f"{LIMITS.bytes} that they may"):
        await put(models, account, "m", big + " ")
    with pytest.raises(ModelLimitReached):
        await put(models, account, "n", big)
    assert await put(models, account, "m", big) == (1, False)
    await models.delete(account, "m")
    await put(models, account, "n", big)


async def test_names_that_were_deleted_are_bounded_and_may_be_used_again(store: Store) -> None:
    account = (await store.account()).account_id
    models = Models(store.engine, replace(LIMITS, models=1))
    for i in range(NAMES_PER_MODEL):
        await put(models, account, f"m{i}")
        await models.delete(account, f"m{i}")
    with pytest.raises(ModelLimitReached, match="Use one of them again"):
        await put(models, account, "new")
    assert await put(models, account, "m0") == (2, True)


async def test_pages_follow_the_names_in_one_order(store: Store, models: Models) -> None:
    account, other = (await store.account()).account_id, (await store.account()).account_id
    for name in ("b-a", "b", "ba"):
        await put(models, account, name)
    await put(models, account, "b", B)
    await put(models, other, "z")
    first = await models.page(account, limit=2)
    rest = await models.page(account, limit=2, after=first[-1].name)
    assert [(m.name, m.version) for m in (*first, *rest)] == [("b", 2), ("b-a", 1), ("ba", 1)]


async def test_lookups_of_several_accounts_are_answered_together(store: Store, models: Models) -> None:
    first, second = (await store.account()).account_id, (await store.account()).account_id
    for account, document in ((first, A), (first, B), (second, C)):
        await put(models, account, "m", document)
    assert await models.spans([(first, "m"), (second, "m"), (second, "n")]) == {
        (first, "m"): range(1, 3),
        (second, "m"): range(1, 2),
    }
    assert await models.documents([(first, "m", 2), (second, "m", 1), (second, "m", 2)]) == {
        (first, "m", 2): B,
        (second, "m", 1): C,
    }
    assert await models.spans([]) == {}
    assert await models.documents([]) == {}


async def test_an_account_takes_its_models_with_it(store: Store, models: Models) -> None:
    gone, stays = await store.account(), await store.account()
    for caller in (gone, stays):
        await put(models, caller.account_id, "m", A)
    await store.accounts.delete(gone.account_id, retain=False)
    for table in ("named_models", "model_versions"):
        assert await store.scalar(f"SELECT array_agg(account_id) FROM {table}") == [stays.account_id]
    with pytest.raises(AccountNotFound):
        await put(models, gone.account_id, "m", A)


@pytest.mark.parametrize("name", ["", "A", "-a", "a-", "a_b", "a.b", "ä", "a" * 64, "a\n"])
async def test_the_table_itself_refuses_a_bad_name(store: Store, name: str) -> None:
    account = (await store.account()).account_id
    with pytest.raises(Exception, match=NAMING["ck"] % {"table_name": "named_models", "constraint_name": "name"}):
        await store.execute("INSERT INTO named_models VALUES (:a, :n, 1, 1, 0)", a=account, n=name)


async def test_a_database_with_accounts_upgrades_and_takes_models(fresh_database: str) -> None:
    migrate(fresh_database, "0001")
    with psycopg.connect(fresh_database) as sql:
        sql.execute("INSERT INTO accounts (account_name, quota_used) VALUES ('test/old', 7)")
    migrate(fresh_database)
    with psycopg.connect(fresh_database) as sql:
        row = sql.execute("SELECT id, quota_used FROM accounts WHERE account_name = 'test/old'").fetchone()
        assert row is not None
        assert row[1] == 7
        sql.execute("INSERT INTO named_models VALUES (%s, 'm', 1, 1, 0)", [row[0]])
        sql.execute("INSERT INTO model_versions VALUES (%s, 'm', 1, 'local_level', '{}')", [row[0]])
        assert sql.execute("SELECT created_at <= now() FROM model_versions").fetchone() == (True,)
