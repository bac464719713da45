"""What is left of an Account that was deleted, and what a new one of its name finds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from tests.operator.lifecycle.team import conditions, refused
from tests.operator.operating import eventually

from luna_operator.resources.names import FINALIZER

if TYPE_CHECKING:
    from tests.operator.lifecycle.conftest import Make
    from tests.operator.lifecycle.installation import Installation

HELD = "example.com/held"


def luna(installation: Installation, *arguments: str) -> Any:
    """Run the command line on the same stores, and return its answer."""
    environment = os.environ | {
        "DATABASE_URL": installation.luna.database_url,
        "REDIS_URL": installation.luna.redis_url,
        "LUNA_PEPPERS": installation.luna.peppers,
    }
    command = [sys.executable, "-m", "luna_serving.cli", *arguments, "--json"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


def ledger(installation: Installation, account_id: int) -> int:
    """Units that the ledger knows of an account."""
    summed = "SELECT coalesce(sum(units), 0) AS units FROM usage_events WHERE account_id = %s"
    row = installation.sql.execute(summed, [account_id]).fetchone()
    assert row is not None
    return int(row["units"])


def test_a_retained_account_leaves_a_revoked_row_its_ledger_and_a_key_that_is_refused(
    installation: Installation, make: Make
) -> None:
    team = make().ready()
    account_id, key = team.id, team.key
    assert [team.call().status_code for _ in range(3)] == [200] * 3
    team.used()
    team.delete()
    team.gone()
    row = team.row()
    assert (row["id"], row["state"], row["quota_used"]) == (account_id, "revoked", 3)
    assert [bool(key["revoked_at"]) for key in team.issued()] == [True]
    assert ledger(installation, account_id) == 3
    assert refused(installation.call(account_id, key)) == (401, "unauthenticated")


def test_usage_that_had_not_reached_postgres_is_in_the_retained_ledger(installation: Installation, make: Make) -> None:
    team = make().ready()
    account_id = team.id
    assert [team.call().status_code for _ in range(5)] == [200] * 5
    team.delete()
    team.gone()
    eventually(lambda: ledger(installation, account_id) == 5)
    assert team.row()["quota_used"] == 5


def test_a_deleted_account_leaves_nothing_in_postgres_and_redis(installation: Installation, make: Make) -> None:
    team = make({"deletionPolicy": "Delete"}).ready()
    account_id, key, digests = team.id, team.key, [row["digest"] for row in team.issued()]
    assert team.call().status_code == 200
    team.used()
    assert team.call().status_code == 200
    team.delete()
    team.gone()
    # A worker lets every capability forget the account, and then removes this row.
    listed = "SELECT FROM deleted_accounts WHERE account_id = %s"
    eventually(lambda: installation.sql.execute(listed, [account_id]).fetchall() == [], 40)
    for table, column in tables_of_accounts(installation):
        rows = installation.sql.execute(f"SELECT * FROM {table} WHERE {column} = %s", [account_id]).fetchall()
        assert rows == [], table
    left = [name for pattern in (f"account:{{{account_id}}}*", f"user:{{{account_id}}}*") for name in
            installation.redis.scan_iter(pattern)]  # fmt: skip
    assert left == []
    assert [installation.redis.exists(f"key:{digest}") for digest in digests] == [0]
    assert refused(installation.call(account_id, key)) == (401, "unauthenticated")


def tables_of_accounts(installation: Installation) -> list[tuple[str, str]]:
    """Every table that tells of an account, and the column that holds its id."""
    found = installation.sql.execute(
        "SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND (column_name = 'account_id' OR table_name = 'accounts' AND column_name = 'id')"
    ).fetchall()
    # The audit log keeps who did what to an account beyond its end (docs/audit.md).
    tables = [(row["table_name"], row["column_name"]) for row in found if not row["table_name"].startswith("audit_log")]
    assert {("accounts", "id"), ("api_keys", "account_id"), ("usage_events", "account_id")} <= set(tables)
    return tables


def test_an_account_stays_until_its_row_is_ended(installation: Installation, make: Make) -> None:
    team = make({"deletionPolicy": "Delete"}).ready()
    assert team.get()["metadata"]["finalizers"] == [FINALIZER]
    with installation.sql.transaction():
        installation.sql.execute("SELECT 1 FROM accounts WHERE id = %s FOR UPDATE", [team.id])
        team.delete()
        eventually(lambda: waiting_for_us(installation))
        metadata = team.get()["metadata"]
        assert metadata["finalizers"] == [FINALIZER]
        assert "deletionTimestamp" in metadata
        assert team.secret()
    team.gone()
    assert team.rows() == []


def waiting_for_us(installation: Installation) -> bool:
    """Whether a connection waits for a lock of this test's connection."""
    blocked = "SELECT 1 FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    return installation.sql.execute(blocked).fetchone() is not None


def test_an_account_that_is_deleted_before_it_was_ready_goes(make: Make) -> None:
    team = make({"tier": "there-is-none"})
    team.condition("Ready", "False", "TierNotFound")
    team.delete()
    team.gone()


def test_finalizers_of_others_are_kept_and_ours_waits_for_nobody(make: Make) -> None:
    team = make(finalizers=[HELD]).ready()
    assert team.get()["metadata"]["finalizers"] == [HELD, FINALIZER]
    key, account_id = team.key, team.id
    team.delete()
    eventually(lambda: team.get()["metadata"]["finalizers"] == [HELD])
    assert team.row()["state"] == "revoked"
    assert refused(team.call(key=key)) == (401, "unauthenticated")
    team.patch(finalizers=[])
    team.gone()
    assert team.row()["id"] == account_id


def test_an_account_of_the_same_name_takes_up_id_and_used_quota(make: Make) -> None:
    team = make({"quota": {"limit": 5}}).ready()
    account_id, old = team.id, team.key
    assert [team.call().status_code for _ in range(3)] == [200] * 3
    team.used()
    team.delete()
    team.gone()
    again = make({"quota": {"limit": 5}}).ready()
    assert again.id == account_id
    assert again.key != old
    assert again.status()["usage"] | {"asOf": None} == {"limit": 5, "used": 3, "remaining": 2, "asOf": None}
    assert refused(again.call(key=old)) == (401, "unauthenticated")
    assert [again.call().status_code for _ in range(2)] == [200] * 2
    assert refused(again.call()) == (429, "quota-exhausted")
    assert [key["state"] for key in again.status()["keys"]] == ["Active"]


def test_an_account_from_the_command_line_is_not_taken_over(
    installation: Installation, make: Make, namespace: str
) -> None:
    name = f"{namespace}/acme"
    made = luna(installation, "account", "create", name)
    team = make()
    taken = team.condition("DatabaseSynced", "False", "NameTaken")
    assert f"Account {made['id']} " in taken["message"]
    assert repr(name) in taken["message"]
    assert conditions(team.status())["Ready"]["reason"] == "NameTaken"
    assert eventually(lambda: team.told()["NameTaken"]) == "Warning"
    assert team.row()["uid"] is None
    assert installation.call(made["id"], made["api_key"]).status_code == 200
    # The cure that the message names.
    assert "`luna account delete --purge`" in taken["message"]
    luna(installation, "account", "delete", str(made["id"]), "--purge")
    team.ready()
    assert team.call().status_code == 200
