"""The audit log over real Postgres: what is recorded, by whom, exactly once, and never a secret."""

import ast
import asyncio
import getpass
import json
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine
from tests.store.stores import PEPPERS, Store

from luna_store.accounts.accounts import Accounts, AccountSpec
from luna_store.accounts.api_keys import ApiKey
from luna_store.accounts.desired import DesiredAccount
from luna_store.accounts.provisioning import Provisioning
from luna_store.accounts.rows import remove_ended_keys
from luna_store.audit.actors import Actor, acting_as, command
from luna_store.audit.log import Change, Wanted, page, record
from luna_store.audit.triggers import created, dropped, rows_of
from luna_store.people.links import PasswordLinks
from luna_store.people.memberships import Memberships, Source
from luna_store.people.own_members import MemberNotFound, OwnMembers
from luna_store.people.roles import Role
from luna_store.people.sessions import Sessions, TokenReused, UnknownToken, digest
from luna_store.people.users import Users
from luna_store.platform.postgres import async_engine

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "audit.md").read_text()
DAY = timedelta(days=1)


async def log_of(store: Store, account_id: int | None = None, **wanted: Any) -> list[Change]:
    """The entries, the oldest first."""
    found = await page(store.engine, Wanted(account_id=account_id, **wanted), limit=1000)
    return found[::-1]


def shown(entries: list[Change]) -> list[tuple[str, str]]:
    return [(entry.action, entry.subject) for entry in entries]


def acting(store: Store, actor: str) -> AsyncEngine:
    return async_engine(store.engine.url.render_as_string(hide_password=False).replace("+psycopg", ""), actor=actor)


@pytest.fixture
async def operator(store: Store) -> AsyncIterator[Provisioning]:
    engine = acting(store, "operator")
    yield Provisioning(engine, PEPPERS)
    await engine.dispose()


def desired(**changes: object) -> DesiredAccount:
    uid = uuid.uuid4()
    return DesiredAccount(**{"uid": uid, "account_name": f"team/{uid.hex[:8]}"} | changes)


async def test_a_change_of_limits_shows_who_and_both_values_of_what_changed(store: Store) -> None:
    engine = acting(store, command())
    accounts = Accounts(engine, PEPPERS)
    account_id, _ = await accounts.create(AccountSpec("team/a", limits={"max_series_length": 5}))
    before = datetime.now(UTC)
    await accounts.update(account_id, quota_limit=7, limits={"max_series_length": 9}, tier=None)
    await engine.dispose()
    created, issued, changed = await log_of(store)
    assert (created.action, issued.action) == ("account.created", "key.issued")
    assert changed.actor == f"command:{getpass.getuser()}"
    assert (changed.action, changed.subject, changed.account_id) == ("account.limits", "team/a", account_id)
    assert changed.before == {"quota_limit": 500, "limits": {"max_series_length": 5}}
    assert changed.after == {"quota_limit": 7, "limits": {"max_series_length": 9}}
    assert abs(changed.at - before) < timedelta(minutes=1)
    assert changed.request_id is None


@pytest.mark.parametrize(
    ("changes", "action", "before", "after"),
    [
        ({"state": "suspended"}, "account.state", {"state": "active"}, {"state": "suspended"}),
        ({"quota_window": "Day"}, "account.limits", {"quota_window": "Lifetime"}, {"quota_window": "Day"}),
        ({"rate_per_second": 2.5}, "account.limits", {"rate_per_second": 1e5}, {"rate_per_second": 2.5}),
        ({"allowed": {"kalman": []}}, "account.allowed", {"allowed": {"*": ["*"]}}, {"allowed": {"kalman": []}}),
        ({"tier": "gold"}, "account.changed", {"tier": None}, {"tier": "gold"}),
        (
            {"expires_at": datetime(2030, 1, 1, tzinfo=UTC)},
            "account.expiry",
            {"expires_at": None},
            {"expires_at": "2030-01-01T00:00:00+00:00"},
        ),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
async def test_each_change_of_an_account_is_one_entry(
    store: Store, changes: dict[str, Any], action: str, before: dict[str, Any], after: dict[str, Any]
) -> None:
    caller = await store.account()
    seen = len(await log_of(store))
    await store.accounts.update(caller.account_id, **changes)
    await store.accounts.update(caller.account_id, **changes)
    entries = (await log_of(store))[seen:]
    assert [(e.action, e.before, e.after) for e in entries] == [(action, before, after)]


@pytest.mark.parametrize(
    ("column", "value", "action"),
    [("max_series_length", "9", "account.limits"), ("allowed_models", "'{arima}'", "account.allowed")],
)
async def test_a_change_by_a_release_before_limits_were_data_is_recorded(
    store: Store, column: str, value: str, action: str
) -> None:
    caller = await store.account()
    await store.execute(f"UPDATE accounts SET {column} = {value} WHERE id = {caller.account_id}")
    last = (await log_of(store))[-1]
    assert last.action == action
    assert last.after in ({"limits": {"max_series_length": 9}}, {"allowed": {"*": ["*"], "kalman": ["arima"]}})


async def test_the_keys_of_a_resource_are_followed_from_issue_to_end(store: Store, operator: Provisioning) -> None:
    row = await operator.apply(desired())
    first = await operator.issue(row.id)
    await operator.confirm(row.id, first.prefix, overlap=DAY)
    await operator.confirm(row.id, first.prefix, overlap=DAY)
    second = await operator.issue(row.id)
    third = await operator.issue(row.id)
    await operator.confirm(row.id, third.prefix, overlap=DAY)
    fourth = await operator.issue(row.id)
    await operator.withdraw(row.id, fourth.prefix)
    await store.accounts.revoke_key(third.prefix)
    await store.accounts.revoke_key(third.prefix)
    entries = await log_of(store, action="key")
    assert shown(entries) == [
        ("key.issued", first.prefix),
        ("key.confirmed", first.prefix),
        ("key.issued", second.prefix),
        ("key.revoked", second.prefix),
        ("key.issued", third.prefix),
        ("key.confirmed", third.prefix),
        ("key.retiring", first.prefix),
        ("key.issued", fourth.prefix),
        ("key.removed", fourth.prefix),
        ("key.revoked", third.prefix),
    ]
    assert {e.actor for e in entries[:-1]} == {"operator"}
    retiring = entries[6]
    assert (retiring.before, set(retiring.after or {})) == ({"expires_at": None}, {"expires_at"})
    assert entries[0].before is None
    assert entries[8].after is None


async def test_an_operator_that_finds_everything_as_desired_leaves_no_entry(
    store: Store, operator: Provisioning
) -> None:
    wanted = desired(limits={"max_series_length": 4}, expires_at=datetime(2030, 1, 1, tzinfo=UTC))
    row = await operator.apply(wanted)
    key = await operator.issue(row.id)
    await operator.confirm(row.id, key.prefix, overlap=DAY)
    seen = await log_of(store)
    for _ in range(3):
        row = await operator.apply(wanted, row)
        await operator.confirm(row.id, key.prefix, overlap=DAY)
        await store.cache.rebuild(row.id)
    assert await log_of(store) == seen


async def test_a_replaced_digest_is_recorded_without_its_value(store: Store) -> None:
    caller = await store.account()
    await store.execute("UPDATE api_keys SET digest = 'other', revoked_at = NULL")
    last = (await log_of(store))[-1]
    assert (last.action, last.subject, last.before, last.after) == ("key.changed", caller.key.prefix, None, None)


async def test_the_removal_of_keys_that_had_ended_is_no_change(store: Store) -> None:
    caller = await store.account()
    await store.accounts.revoke_key(caller.key.prefix)
    await store.execute("UPDATE api_keys SET revoked_at = now() - interval '40 days'")
    seen = await log_of(store)
    async with store.engine.begin() as connection:
        assert await remove_ended_keys(connection) == 1
    assert await log_of(store) == seen


async def test_a_deleted_account_leaves_one_entry_and_its_history(store: Store, operator: Provisioning) -> None:
    wanted = desired()
    row = await operator.apply(wanted)
    await operator.issue(row.id)
    await add_model(store, row.id)
    seen = shown(await log_of(store))
    await operator.end(wanted.uid, retain=False)
    entries = await log_of(store, account_id=row.id)
    assert shown(entries) == [*seen, ("account.deleted", wanted.account_name)]
    assert entries[-1].actor == "operator"
    assert (entries[-1].before or {})["quota_limit"] == 500
    assert entries[-1].after is None


async def test_a_retained_account_shows_its_revocation_and_that_of_each_key(
    store: Store, operator: Provisioning
) -> None:
    wanted = desired()
    row = await operator.apply(wanted)
    key = await operator.issue(row.id)
    await operator.end(wanted.uid, retain=True)
    await operator.end(wanted.uid, retain=True)
    assert shown((await log_of(store))[2:]) == [("key.revoked", key.prefix), ("account.state", wanted.account_name)]


async def add_model(store: Store, account_id: int, name: str = "demand") -> None:
    await store.execute(
        "INSERT INTO named_models (account_id, name, first_version, last_version, stored_bytes)"
        " VALUES (:account, :name, 1, 1, 130)",
        account=account_id,
        name=name,
    )
    await store.execute(
        "INSERT INTO model_versions (account_id, name, version, kind, document)"
        " VALUES (:account, :name, 1, 'arima', '{}')",
        account=account_id,
        name=name,
    )


async def test_settlement_and_debits_write_nothing(store: Store) -> None:
    callers = [await store.account() for _ in range(4)]
    seen = await log_of(store)
    for turn in range(25):
        for caller in callers:
            await store.quota.debit([caller.debit(2)])
            await store.fallback.debit(caller.debit(1), uncertain=False)
        if turn % 5 == 0:
            await store.settler.settle()
    await store.settler.settle()
    for caller in callers:
        await store.cache.rebuild(caller.account_id)
    assert [await store.used(caller.account_id) for caller in callers] == [75] * 4
    assert await log_of(store) == seen


@pytest.mark.parametrize("table", ["audit_log", "audit_log_default", "partition"])
@pytest.mark.parametrize(
    "statement", ["UPDATE {} SET actor = 'nobody'", "DELETE FROM {}", "TRUNCATE {}", "UPDATE {} SET at = now()"]
)
async def test_entries_cannot_be_changed_or_removed(store: Store, table: str, statement: str) -> None:
    await store.account()
    if table == "partition":
        table = f"audit_log_y{datetime.now(UTC):%Ym%m}"
    elif table == "audit_log_default":
        await store.execute("INSERT INTO audit_log (at, actor, action, subject) VALUES ('2001-01-01', 'a', 'b', 'c')")
    seen = await log_of(store)
    with pytest.raises(DBAPIError, match="append-only"):
        await store.execute(statement.format(table))
    assert await log_of(store) == seen


async def test_a_transaction_that_rolls_back_leaves_no_entry(store: Store) -> None:
    caller = await store.account()
    seen = await log_of(store)
    with suppress(ZeroDivisionError):
        async with store.engine.begin() as connection:
            await connection.execute(text("UPDATE accounts SET quota_limit = 3"))
            await record(connection, "session.reused", account_id=caller.account_id, subject="a@example.org")
            raise ZeroDivisionError
    assert await log_of(store) == seen


async def test_changes_at_once_leave_pairs_that_follow_each_other(store: Store) -> None:
    caller = await store.account(quota_limit=0)
    await asyncio.gather(*(store.accounts.update(caller.account_id, quota_limit=number) for number in range(1, 9)))
    pairs = [
        ((e.before or {})["quota_limit"], (e.after or {})["quota_limit"])
        for e in await log_of(store, action="account.limits")
    ]
    assert sorted(after for _, after in pairs) == list(range(1, 9))
    assert [before for before, _ in pairs] == [0, *(after for _, after in pairs[:-1])]


async def test_a_request_names_itself_for_its_transaction_only(store: Store) -> None:
    caller = await store.account()
    person = uuid.uuid4()
    async with store.engine.begin() as connection:
        await acting_as(connection, Actor.user(person, "request-1"))
        await connection.execute(text("UPDATE accounts SET quota_limit = 1"))
    async with store.engine.begin() as connection:
        await acting_as(connection, Actor.key(caller.key.prefix))
        await connection.execute(text("UPDATE accounts SET quota_limit = 2"))
    async with store.engine.begin() as connection:
        await connection.execute(text("UPDATE accounts SET quota_limit = 3"))
    who = [(e.actor, e.request_id) for e in await log_of(store, action="account.limits")]
    assert who == [(f"user:{person}", "request-1"), (f"key:{caller.key.prefix}", None), ("luna", None)]


async def test_another_client_is_shown_by_its_role_whatever_its_search_path(
    store: Store, migrated_database: str
) -> None:
    await store.account()
    with psycopg.connect(migrated_database, application_name="psql") as connection:
        connection.execute("SET timezone = 'Asia/Tokyo'")
        connection.execute("SET search_path = pg_catalog")
        connection.execute("UPDATE public.accounts SET expires_at = '2030-01-01T00:00:00Z'")
        role = connection.execute("SELECT session_user").fetchone()
    last = (await log_of(store))[-1]
    assert (last.actor, last.action) == (f"postgres:{role[0]}", "account.expiry")
    assert last.after == {"expires_at": "2030-01-01T00:00:00+00:00"}


async def test_no_entry_holds_a_key_or_its_digest(store: Store, operator: Provisioning) -> None:
    wanted = desired()
    row = await operator.apply(wanted)
    keys: list[ApiKey] = [await operator.issue(row.id) for _ in range(3)]
    await operator.confirm(row.id, keys[-1].prefix, overlap=DAY)
    account_id, other = await store.accounts.create(AccountSpec("team/other"))
    _, rotated = await store.accounts.rotate_key(account_id, DAY)
    await store.accounts.revoke_key(other.prefix)
    await store.accounts.delete(account_id, retain=False)
    await operator.end(wanted.uid, retain=False)
    whole = json.dumps([str(e) for e in await log_of(store)])
    assert rotated.prefix in whole
    for key in (*keys, other, rotated):
        assert key.secret.removeprefix(f"{key.prefix}_") not in whole
        assert PEPPERS.digest(key) not in whole


async def test_members_are_followed_through_their_roles(store: Store) -> None:
    caller = await store.account()
    members, by = OwnMembers(store.engine), Actor.user(uuid.uuid4(), "request-1")
    for role in (Role.VIEWER, Role.VIEWER, Role.ADMIN):
        await members.put(caller.account_id, "ann@example.com", role, by)
    await members.remove(caller.account_id, "ann@example.com", by)
    with pytest.raises(MemberNotFound):
        await members.remove(caller.account_id, "ann@example.com", by)
    entries = await log_of(store, caller.account_id, action="member")
    assert [(e.action, e.before, e.after) for e in entries] == [
        ("member.added", None, {"source": "admin", "role": "viewer"}),
        ("member.role", {"role": "viewer"}, {"role": "admin"}),
        ("member.removed", {"source": "admin", "role": "admin"}, None),
    ]
    assert {(e.subject, e.actor, e.request_id) for e in entries} == {("ann@example.com", by.name, "request-1")}


async def test_a_refresh_token_that_is_used_twice_is_recorded_once(store: Store) -> None:
    caller = await store.account()
    user = await Users(store.engine).create("ann@example.com", None)
    await Memberships(store.engine).put(caller.account_id, "ann@example.com", Role.ADMIN, Source.COMMAND)
    sessions = Sessions(store.engine, lifetime=DAY, refresh_lifetime=DAY, most_per_person=5)
    session, token = await sessions.begin(user.id, caller.account_id)
    _, following = await sessions.rotate(token)
    with pytest.raises(TokenReused):
        await sessions.rotate(token)
    with pytest.raises(UnknownToken):
        await sessions.rotate(token)
    (reused,) = await log_of(store, caller.account_id, action="session")
    assert (reused.action, reused.subject) == ("session.reused", "ann@example.com")
    assert (reused.before, reused.after) == (None, {"session": str(session.id)})
    whole = str(await log_of(store))
    assert not [secret for each in (token, following) for secret in (each, digest(each)) if secret in whole]


async def test_users_are_followed_and_no_entry_holds_the_hash_of_a_password(store: Store) -> None:
    users, links = Users(store.engine), PasswordLinks(store.engine)
    ann = await users.create("ann@example.com", "hash-1")
    await users.rehash(ann.id, "hash-1", "hash-2")
    await users.set_password("ann@example.com", "hash-3", by=Actor.user(ann.id))
    for disabled in (True, True, False, False):
        await users.set_disabled("ann@example.com", disabled=disabled)
    tokens = []
    for address in ("ann@example.com", "bob@example.com"):
        tokens.append(await links.make(address, DAY))
        await links.use(tokens[-1], "hash-4")
    await store.execute("UPDATE users SET email = 'zoe@example.com' WHERE email LIKE 'ann%'")
    await store.execute("DELETE FROM users WHERE email LIKE 'bob%'")
    entries = await log_of(store)
    assert [(e.action, e.subject.partition("@")[0], e.actor) for e in entries] == [
        ("user.created", "ann", "luna"),
        ("user.password-rehashed", "ann", "luna"),
        ("user.password-changed", "ann", f"user:{ann.id}"),
        ("user.disabled", "ann", "luna"),
        ("user.enabled", "ann", "luna"),
        ("user.password-changed", "ann", "link:ann@example.com"),
        ("user.created", "bob", "link:bob@example.com"),
        ("user.changed", "zoe", "luna"),
        ("user.deleted", "bob", "luna"),
    ]
    assert {e.account_id for e in entries} == {None}
    assert entries[7].before == {"email": "ann@example.com"}
    assert (entries[1].before, entries[1].after) == (None, None)
    whole = str(entries)
    assert not [secret for secret in ("hash-", *tokens, *map(digest, tokens)) if secret in whole]


async def test_another_table_is_recorded_by_one_line_of_a_migration(store: Store) -> None:
    caller = await store.account()
    await store.execute("CREATE TABLE further_rules (account_id integer, name text, query text, token text)")
    rules = rows_of("further_rules", "rule", subject="name", columns=("name", "query"), watched=("token",))
    for statement in created(rules):
        await store.execute(statement)
    await store.execute(f"INSERT INTO further_rules VALUES ({caller.account_id}, 'high', 'x > 1', 'secret')")
    for change in ("query = 'x > 2'", "token = 'another secret'", "name = name", "account_id = account_id"):
        await store.execute(f"UPDATE further_rules SET {change}")
    await store.execute("DELETE FROM further_rules")
    assert [
        (e.action, e.subject, e.before, e.after) for e in await log_of(store, caller.account_id, action="rule")
    ] == [
        ("rule.created", "high", None, {"name": "high", "query": "x > 1"}),
        ("rule.changed", "high", {"query": "x > 1"}, {"query": "x > 2"}),
        ("rule.changed", "high", None, None),
        ("rule.deleted", "high", {"name": "high", "query": "x > 2"}, None),
    ]
    for statement in dropped(rules):
        await store.execute(statement)


async def test_entries_are_found_by_what_when_and_whom(store: Store) -> None:
    caller = await store.account()
    other = await store.account()
    async with store.engine.begin() as connection:
        await acting_as(connection, Actor("user:one"))
        await record(
            connection,
            "session.reused",
            account_id=caller.account_id,
            subject="a@example.org",
            after={"family": "f"},
        )
    (reused,) = await log_of(store, actor="user:one")
    assert (reused.action, reused.before, reused.after) == ("session.reused", None, {"family": "f"})
    assert await log_of(store, caller.account_id, action="session.reused") == [reused]
    assert await log_of(store, caller.account_id, action="session") == [reused]
    assert await log_of(store, caller.account_id, action="sessio") == []
    assert await log_of(store, caller.account_id, subject="a@example.org") == [reused]
    assert await log_of(store, caller.account_id, since=reused.at) == [reused]
    assert reused not in await log_of(store, caller.account_id, until=reused.at)
    assert {e.account_id for e in await log_of(store, other.account_id)} == {other.account_id}
    everything = await log_of(store)
    paged: list[Change] = []
    while found := await page(store.engine, Wanted(after=(paged[-1].at, paged[-1].id) if paged else None), limit=2):
        paged += found
    assert paged[::-1] == everything


def test_the_page_lists_every_action_that_is_recorded_and_no_other(migrated_database: str) -> None:
    with psycopg.connect(migrated_database) as sql:
        arguments = sql.execute(
            "SELECT tgargs, proname FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid"
            " WHERE NOT tgisinternal AND proname LIKE 'audit\\_%'"
        ).fetchall()
    recorded = {bytes(each).split(b"\0")[0].decode() for each, name in arguments if name == "audit_change"}
    assert {name for _, name in arguments} == {
        "audit_change",
        "audit_log_append_only",
        "audit_model_deleted",
        "audit_model_version",
    }
    of_models = {"model.created", "model.changed", "model.deleted"}
    assert set(re.findall(r"^\| `(\w+\.[\w-]+)` \|", PAGE, re.MULTILINE)) == recorded | of_models | {"session.reused"}


def test_the_page_lists_every_process_that_opens_an_engine() -> None:
    named = set()
    for file in [*ROOT.glob("serving/luna_serving/**/*.py"), *ROOT.glob("operator/luna_operator/**/*.py")]:
        for call in ast.walk(ast.parse(file.read_text())):
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "async_engine":
                (actor,) = [ast.unparse(k.value) for k in call.keywords if k.arg == "actor"] or [f"none in {file}"]
                named.add(actor.strip("'"))
    assert named == {"operator", "serving", "workers", "settlement", "command()"}
    for actor in named - {"command()"} | {"command:<user>", "migration"}:
        assert f"`{actor}`" in PAGE
