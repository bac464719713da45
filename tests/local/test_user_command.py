"""`luna user` on real servers."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.local.test_accounts_command import luna, restored_bytecode_settings  # noqa: F401  fixtures

if TYPE_CHECKING:
    from tests.local.test_accounts_command import Luna

PASSWORD = "correct horse battery"


@pytest.fixture(autouse=True)
def _cheap_hashes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUNA_ARGON2_MEMORY_KIB", "8192")
    monkeypatch.setenv("LUNA_ARGON2_PASSES", "1")


def typed(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_a_user_with_a_password_and_a_role(luna: Luna, monkeypatch: pytest.MonkeyPatch, migrated_database: str) -> None:  # noqa: F811
    account = luna("account", "create", "team/web", "--json").facts["id"]
    typed(monkeypatch, PASSWORD + "\n")
    made = luna(
        "user", "create", "Ann@Team.test", "--account", str(account), "--role", "admin", "--password-stdin", "--json"
    )
    assert made.facts["email"] == "ann@team.test"
    assert made.facts["has_password"] is True
    assert made.facts["accounts"] == [{"account_id": account, "role": "admin"}]
    with psycopg.connect(migrated_database) as sql:
        (stored,) = sql.execute("SELECT password_hash FROM users").fetchone() or ("",)
    assert stored.startswith("$argon2id$")
    assert PASSWORD not in stored


def test_the_name_of_an_account_does_as_well_as_its_id(luna: Luna) -> None:  # noqa: F811
    luna("account", "create", "team/web")
    assert luna("user", "add-to", "bob@team.test", "team/web", "--role", "viewer", "--json").facts["invited"] is True
    assert luna("user", "create", "bob@team.test", "--json").facts["accounts"][0]["role"] == "viewer"
    assert "bob@team.test" in luna("user", "list").out


def test_a_role_is_taken_back(luna: Luna) -> None:  # noqa: F811
    luna("account", "create", "team/web")
    luna("user", "add-to", "bob@team.test", "team/web")
    assert "no longer a member" in luna("user", "remove-from", "bob@team.test", "team/web").out
    again = luna("user", "remove-from", "bob@team.test", "team/web")
    assert (again.status, "is not a member" in again.err) == (1, True)


def test_a_disabled_user_is_enabled_again(luna: Luna) -> None:  # noqa: F811
    luna("user", "create", "bob@team.test")
    assert luna("user", "disable", "bob@team.test", "--json").facts["disabled_at"]
    assert luna("user", "enable", "bob@team.test", "--json").facts["disabled_at"] is None


def test_a_link_is_made_for_anybody(luna: Luna) -> None:  # noqa: F811
    facts = luna("user", "link", "new@team.test", "--url", "https://luna.example/", "--json").facts
    assert facts["link"] == f"https://luna.example/set-password#{facts['token']}"


def test_a_new_password_is_asked_for_twice(luna: Luna, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    luna("user", "create", "bob@team.test")
    answers = iter([PASSWORD, PASSWORD, PASSWORD, "another"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(answers))
    assert luna("user", "set-password", "bob@team.test").status == 0
    differing = luna("user", "set-password", "bob@team.test")
    assert (differing.status, "differ" in differing.err) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (("create", "no address"), "@-sign"),
        (("create", "bob@team.test", "--account", "7"), "There is no account 7"),
        (("set-password", "nobody@team.test", "--password-stdin"), "There is no user"),
        (("disable", "nobody@team.test"), "There is no user"),
        (("add-to", "bob@team.test", "7"), "There is no account 7"),
    ],
)
def test_a_mistake_is_explained(
    luna: Luna,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    cure: str,
) -> None:
    typed(monkeypatch, PASSWORD)
    ran = luna("user", *arguments)
    assert ran.status == 1
    assert cure in ran.err


def test_a_user_is_made_once_and_a_short_password_is_refused(luna: Luna, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    typed(monkeypatch, "short")
    refused = luna("user", "create", "bob@team.test", "--password-stdin")
    assert (refused.status, "8 to 1024 characters" in refused.err) == (1, True)
    assert luna("user", "create", "bob@team.test").status == 0
    assert "already a user" in luna("user", "create", "BOB@team.test").err
