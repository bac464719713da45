"""`luna migrate --wait`, which a pod runs before its main container."""

from __future__ import annotations

import subprocess
import sys

import psycopg
import pytest
from alembic.script import ScriptDirectory

from luna_store.platform.schema import alembic_config, head, migrate, serves

OLDER = sorted(
    s.revision for s in ScriptDirectory.from_config(alembic_config()).walk_revisions() if s.revision != head()
)


def waiting(database_url: str, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "luna_serving.cli", "migrate", "--wait", str(seconds)],
        env={"DATABASE_URL": database_url, "PATH": "/usr/bin:/bin"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_it_ends_when_somebody_else_has_migrated(fresh_database: str) -> None:
    migrate(fresh_database, OLDER[-1])
    process = waiting(fresh_database, 60)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(2)
    migrate(fresh_database)
    out, err = process.communicate(timeout=90)
    assert (process.returncode, err) == (0, "")
    assert f"revision {head()}" in out


@pytest.mark.parametrize("at", [None, *OLDER])
def test_it_changes_nothing_and_gives_up_in_time_with_the_cure(fresh_database: str, at: str | None) -> None:
    if at is not None:
        migrate(fresh_database, at)
    _, err = (process := waiting(fresh_database, 0)).communicate(timeout=90)
    assert process.returncode == 1
    assert "older schema" in err
    assert "Run `luna migrate`" in err
    assert not serves(fresh_database)


def test_a_database_out_of_reach_is_waited_for_without_showing_the_password() -> None:
    _, err = (process := waiting("postgresql://luna:secret@127.0.0.1:1/luna", 0)).communicate(timeout=90)
    assert process.returncode == 1
    assert "refused" in err
    assert "secret" not in err


def test_a_release_runs_on_the_schema_of_a_newer_one(migrated_database: str) -> None:
    with psycopg.connect(migrated_database, autocommit=True) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    assert serves(migrated_database)
