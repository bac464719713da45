"""`luna account`, `luna migrate` and `luna settle` on real servers."""

from __future__ import annotations

import asyncio
import getpass
import json
import subprocess
import sys
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from redis.asyncio import Redis

from luna_serving.cli import main
from luna_serving.commands.durations import duration
from luna_store.accounts.api_keys import ApiKey, Peppers
from luna_store.limits import in_force
from luna_store.quota.debits import Debit, Decision
from luna_store.quota.redis_quota import RedisQuota, redis_client

PEPPERS = "test:" + "p" * 32
NOWHERE = "redis://127.0.0.1:1/0"

Luna = Callable[..., "Ran"]


class Ran:
    """A command that has ended."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def facts(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(autouse=True)
def restored_bytecode_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command line changes them for its process, which here is pytest's."""
    monkeypatch.setattr(sys, "pycache_prefix", sys.pycache_prefix)
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)


@pytest.fixture
def luna(
    migrated_database: str, fresh_redis: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Luna:
    """Run a command against a migrated database."""
    monkeypatch.setenv("DATABASE_URL", migrated_database)
    monkeypatch.setenv("REDIS_URL", fresh_redis)
    monkeypatch.setenv("LUNA_PEPPERS", PEPPERS)

    def run(*argv: str) -> Ran:
        status = main(argv)
        out, err = capsys.readouterr()
        return Ran(status, out, err)

    return run


def ask(redis_url: str, question: Callable[[Redis], Awaitable[Any]]) -> Any:
    async def run() -> Any:
        async with redis_client(redis_url) as redis:
            return await question(redis)

    return asyncio.run(run())


def debit(redis_url: str, account_id: int, key: str, units: int = 1) -> str:
    """What serving would decide about a call, by Redis alone."""
    parsed = ApiKey.parse(key)
    call = Debit(account_id, parsed.prefix, (Peppers.parse(PEPPERS).digest(parsed),), units, uuid.uuid4(), "kalman")

    async def question(redis: Redis) -> Decision:
        return (await RedisQuota(redis).debit([call]))[0]

    return str(ask(redis_url, question).outcome)


def create(luna: Luna, name: str = "team/web", *options: str) -> tuple[int, str]:
    made = luna("account", "create", name, "--json", *options)
    assert made.status == 0, made.err
    return made.facts["id"], made.facts["api_key"]


def test_a_new_account_can_call_at_once_with_the_key_that_was_shown(luna: Luna, fresh_redis: str) -> None:
    account_id, key = create(luna)
    assert debit(fresh_redis, account_id, key) == "ok"


def test_what_is_asked_for_is_what_the_account_may_do(luna: Luna) -> None:
    options = ["--quota", "7", "--window", "Month", "--rate", "2.5", "--burst", "9", "--model", "a", "--model", "b"]
    create(luna, "team/web", *options, "--expires-at", "2040-01-01T00:00:00Z")
    facts = luna("account", "show", "team/web", "--json").facts
    assert (facts["quota_limit"], facts["quota_window"], facts["rate_per_second"]) == (7, "Month", 2.5)
    assert (facts["rate_burst"], facts["allowed_models"]) == (9, ["a", "b"])
    assert facts["expires_at"].startswith("2040-01-01T00:00:00")


def test_the_audit_log_shows_what_the_command_line_did_and_who_ran_it(luna: Luna) -> None:
    account_id, key = create(luna)
    assert luna("account", "suspend", "team/web").status == 0
    assert luna("account", "suspend", "team/web").status == 0
    told = luna("account", "audit", "team/web").out
    created, issued, suspended = told.splitlines()
    assert "account.created" in created
    assert f"key.issued       {ApiKey.parse(key).prefix}" in issued
    assert f"  command:{getpass.getuser()} " in suspended
    assert suspended.endswith("account.state    team/web  state active -> suspended")
    assert key not in told
    assert [e["action"] for e in luna("account", "audit", "team/web", "--last", "1", "--json").facts] == [
        "account.state"
    ]
    assert luna("account", "delete", "team/web", "--purge").status == 0
    assert "account.deleted" in luna("account", "audit", str(account_id)).out.splitlines()[-1]
    assert luna("account", "audit", "team/web").status == 1
    assert "nothing of 99" in luna("account", "audit", "99").out


def test_grants_and_limits_are_given_by_name(luna: Luna) -> None:
    options = ["--allow", "kalman=arima,local_level", "--allow", "indicators=*"]
    options += ["--limit", "max_series_length=20", "--limit", "historyDays=7"]
    create(luna, "team/web", *options)
    facts = luna("account", "show", "team/web", "--json").facts
    assert facts["allowed"] == {"kalman": ["arima", "local_level"], "indicators": ["*"]}
    assert facts["limits"] == in_force({"max_series_length": 20, "history_days": 7})
    shown = luna("account", "show", "team/web").out
    assert "kalman: arima, local_level" in shown
    assert "max_series_length 20" in shown


def test_models_alone_leave_the_other_capabilities_open(luna: Luna) -> None:
    create(luna, "team/web", "--model", "arima")
    assert luna("account", "show", "team/web", "--json").facts["allowed"] == {"kalman": ["arima"], "*": ["*"]}


def test_models_that_are_listed_twice_are_refused_with_the_cure(luna: Luna) -> None:
    refused = luna("account", "create", "team/web", "--model", "arima", "--allow", "kalman=arima")
    assert refused.status == 1
    assert "--model and --allow kalman=... both list models: write one of them." in refused.err


def test_an_account_is_found_by_its_name_and_by_its_id(luna: Luna) -> None:
    account_id, _ = create(luna)
    assert luna("account", "show", str(account_id)).out == luna("account", "show", "team/web").out


def test_showing_an_account_never_shows_its_key(luna: Luna) -> None:
    _, key = create(luna)
    for command in (["show", "team/web"], ["show", "team/web", "--json"], ["list"], ["list", "--json"]):
        assert key not in luna("account", *command).out


def test_every_account_is_listed(luna: Luna) -> None:
    create(luna, "team/b")
    create(luna, "team/a")
    assert [account["account_name"] for account in luna("account", "list", "--json").facts] == ["team/b", "team/a"]


def test_after_a_rotation_both_keys_serve_until_the_overlap_ends(luna: Luna, fresh_redis: str) -> None:
    account_id, old = create(luna)
    rotated = luna("account", "rotate-key", "team/web", "--overlap", "1h30m", "--json").facts
    assert [key["state"] for key in rotated["keys"]] == ["Active", "Retiring"]
    assert debit(fresh_redis, account_id, old) == debit(fresh_redis, account_id, rotated["api_key"]) == "ok"


def test_a_rotation_without_overlap_ends_the_old_key_at_once(luna: Luna, fresh_redis: str) -> None:
    account_id, old = create(luna)
    new = luna("account", "rotate-key", "team/web", "--overlap", "0s", "--json").facts["api_key"]
    assert debit(fresh_redis, account_id, old) == "key"
    assert debit(fresh_redis, account_id, new) == "ok"


def test_a_suspended_account_is_refused_until_it_is_resumed(luna: Luna, fresh_redis: str) -> None:
    account_id, key = create(luna)
    assert luna("account", "suspend", "team/web").status == 0
    assert debit(fresh_redis, account_id, key) == "suspended"
    assert luna("account", "resume", "team/web").status == 0
    assert debit(fresh_redis, account_id, key) == "ok"


def test_a_deleted_account_keeps_its_row_but_its_key_is_dead(luna: Luna, fresh_redis: str) -> None:
    account_id, key = create(luna)
    assert luna("account", "delete", "team/web").status == 0
    assert luna("account", "show", "team/web", "--json").facts["state"] == "revoked"
    assert debit(fresh_redis, account_id, key) != "ok"
    assert luna("account", "resume", "team/web").status == 1


def test_a_purged_account_leaves_nothing_in_either_store(luna: Luna, fresh_redis: str) -> None:
    account_id, key = create(luna)
    debit(fresh_redis, account_id, key)
    assert luna("account", "delete", "team/web", "--purge").status == 0
    assert luna("account", "show", "team/web").status == 1
    assert luna("account", "list", "--json").facts == []
    left = ask(fresh_redis, lambda redis: redis.keys("*"))
    assert [name for name in left if str(account_id) in name or name.startswith("key:")] == []


def test_without_redis_a_change_is_made_and_settlement_is_said_to_carry_it_over(
    luna: Luna, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(luna)
    monkeypatch.setenv("REDIS_URL", NOWHERE)
    suspended = luna("account", "suspend", "team/web")
    assert suspended.status == 0
    assert "settlement carries the change over" in suspended.err
    assert luna("account", "show", "team/web", "--json").facts["state"] == "suspended"


def test_without_redis_nothing_is_purged_since_redis_would_go_on_to_serve_it(
    luna: Luna, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(luna)
    monkeypatch.setenv("REDIS_URL", NOWHERE)
    purged = luna("account", "delete", "team/web", "--purge")
    assert purged.status == 1
    assert "not purged" in purged.err
    assert luna("account", "show", "team/web", "--json").facts["state"] == "revoked"


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["show", "nobody"], "no account 'nobody'"),
        (["show", "77"], "no account 77"),
        (["rotate-key", "nobody"], "no account 'nobody'"),
        (["create", "team/web"], "already an account named 'team/web'"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(luna: Luna, argv: list[str], said: str) -> None:
    create(luna)
    refused = luna("account", *argv)
    assert (refused.status, refused.out) == (1, "")
    assert said in refused.err
    assert len(refused.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["create", "42"], "taken for an id"),
        (["create", "x/y", "--quota", "-1"], "at least 0"),
        (["create", "x/y", "--rate", "0"], "above 0"),
        (["create", "x/y", "--rate", "nan"], "above 0"),
        (["create", "x/y", "--expires-at", "tomorrow"], "2027-01-31T12:00:00Z"),
        (["create", "x/y", "--allow", "kalman"], "kalman=arima,local_level"),
        (["create", "x/y", "--limit", "history_days"], "max_series_length=10"),
        (["create", "x/y", "--limit", "history_days=0"], "between 1 and 36500"),
        (["create", "x/y", "--limit", "histroy_days=1"], "the limits are max_series_length,"),
        (["rotate-key", "x/y", "--overlap", "soon"], "90s, 15m, 24h"),
    ],
)
def test_a_value_that_makes_no_sense_is_refused_with_the_way_to_write_it(
    argv: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["account", *argv])
    assert refused.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("15m", 900), ("24h", 86_400), ("0s", 0), ("7d", 604_800), ("1h30m", 5_400)]
)
def test_durations_are_read_as_people_type_them(text: str, seconds: int) -> None:
    assert duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "24", "h", "-1h", "1.5h", "24 h", "99999999999999d", "200000d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|hundred years"):
        duration(text)


def test_an_empty_database_is_migrated(luna: Luna, fresh_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", fresh_database)
    assert luna("account", "list").status == 1
    assert luna("migrate").status == 0
    assert luna("account", "list").status == 0


def test_an_unmigrated_database_is_told_with_its_cure(
    luna: Luna, migrated_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(migrated_database, autocommit=True) as connection:
        connection.execute("DROP TABLE accounts, api_keys, usage_events CASCADE")
    refused = luna("account", "list")
    assert refused.status == 1
    assert "luna migrate" in refused.err


def test_a_database_out_of_reach_is_told_with_its_setting(luna: Luna, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://luna:secret@127.0.0.1:1/luna")
    refused = luna("account", "list")
    assert refused.status == 1
    assert "DATABASE_URL" in refused.err
    assert "secret" not in refused.err


@pytest.mark.parametrize("missing", ["DATABASE_URL", "REDIS_URL", "LUNA_PEPPERS"])
def test_a_missing_setting_is_named_with_the_ways_to_give_it(
    luna: Luna, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, missing: str
) -> None:
    monkeypatch.delenv(missing)
    refused = luna("account", "list", "--data-dir", str(tmp_path))
    assert refused.status == 1
    assert missing in refused.err
    assert "luna up" in refused.err
    assert "--data-dir" in refused.err


def test_settings_that_the_environment_lacks_come_from_the_data_folder(
    luna: Luna, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, migrated_database: str, fresh_redis: str
) -> None:
    for name in ("DATABASE_URL", "REDIS_URL", "LUNA_PEPPERS"):
        monkeypatch.delenv(name)
    (tmp_path / "env").write_text(f"LUNA_URL=x\nDATABASE_URL={migrated_database}\nREDIS_URL={fresh_redis}\n")
    (tmp_path / "peppers").write_text(PEPPERS + "\n")
    made = luna("account", "create", "team/web", "--json", "--data-dir", str(tmp_path))
    assert made.status == 0, made.err
    assert debit(fresh_redis, made.facts["id"], made.facts["api_key"]) == "ok"


def test_settlement_books_what_is_left_when_it_is_told_to_stop(
    luna: Luna, fresh_redis: str, migrated_database: str
) -> None:
    account_id, key = create(luna)
    settler = subprocess.Popen([sys.executable, "-m", "luna_serving.cli", "settle", "--json"], stderr=subprocess.PIPE)
    assert settler.stderr
    assert json.loads(settler.stderr.readline())["message"] == "settlement begins"
    assert debit(fresh_redis, account_id, key, units=3) == "ok"
    settler.terminate()
    _, said = settler.communicate(timeout=10)
    assert settler.returncode == 0
    assert all(json.loads(line)["level"] == "info" for line in said.splitlines())
    with psycopg.connect(migrated_database) as connection:
        used = connection.execute("SELECT quota_used FROM accounts").fetchone()
    assert used == (3,)


def test_the_account_commands_load_neither_ray_nor_jax() -> None:
    script = """
import sys
import luna_serving.cli, luna_serving.commands.account, luna_serving.commands.migrate, luna_serving.commands.settle
sys.exit(", ".join({"ray", "jax", "fastapi"} & sys.modules.keys()) or 0)
"""
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
