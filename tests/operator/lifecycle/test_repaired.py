"""What drifted is found by looking at everything and put right, and it is counted where it was."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import TYPE_CHECKING, Any

import pytest
from tests.operator.lifecycle.team import Team, conditions, refused
from tests.operator.operating import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.operator.lifecycle.conftest import Make, MakeTier
    from tests.operator.lifecycle.installation import Installation

NAME = "acme-luna-key"
SWEEP_S = 0.5


@pytest.fixture(scope="module", autouse=True)
def sweeping(installation: Installation) -> Iterator[None]:
    """An operator that looks at everything all the time."""
    with installation.another(sweep_s=SWEEP_S, usage_max_age_s=1):
        yield


def repairs(installation: Installation, where: str) -> float:
    return installation.operator.metric("luna_operator_repairs_total", where=where)


def edit_secret(installation: Installation, team: Team, **body: Any) -> None:
    installation.core.patch_namespaced_secret(NAME, team.namespace, body)


def test_a_deleted_secret_comes_back_with_a_key_that_works(installation: Installation, make: Make) -> None:
    team = make().ready()
    installation.operator.wait_swept()
    old, before = team.key, repairs(installation, "secret")
    installation.core.delete_namespaced_secret(NAME, team.namespace)
    assert eventually(lambda: len(team.status()["keys"])) == 1
    eventually(lambda: len(team.status()["keys"]) == 2)
    assert team.key != old
    assert team.call().status_code == 200
    # Programs that had read it go on for the overlap.
    assert team.call(key=old).status_code == 200
    assert repairs(installation, "secret") > before
    assert [owner.uid for owner in team.secret().metadata.owner_references] == [team.get()["metadata"]["uid"]]


@pytest.mark.parametrize("key", [b"", b"luna_gone", b"\xff\xfe"])
def test_a_secret_that_lost_its_key_gets_another(installation: Installation, make: Make, key: bytes) -> None:
    team = make().ready()
    old = team.key
    edit_secret(installation, team, data={"api-key": b64encode(key).decode()})
    eventually(lambda: len(team.status()["keys"]) == 2)
    assert team.key != old
    assert team.call().status_code == 200


@pytest.mark.parametrize(
    "edit",
    [
        {"data": {"url": b64encode(b"http://evil.example").decode()}},
        {"data": {"account-id": b64encode(b"1").decode()}},
        {"metadata": {"labels": {"luna.dev/account": "nobody"}}},
    ],
    ids=["url", "account-id", "label"],
)
def test_a_secret_whose_key_is_right_is_put_in_order_with_the_same_key(
    installation: Installation, make: Make, edit: dict[str, Any]
) -> None:
    team = make().ready()
    access, labels = team.access, team.secret().metadata.labels
    edit_secret(installation, team, **edit)
    eventually(lambda: (team.access, team.secret().metadata.labels) == (access, labels))
    assert len(team.issued()) == 1


def test_a_secret_without_our_label_is_found_all_the_same(installation: Installation, make: Make) -> None:
    team = make().ready()
    access, labels = team.access, team.secret().metadata.labels
    edit_secret(installation, team, metadata={"labels": dict.fromkeys(labels)})
    eventually(lambda: team.secret().metadata.labels == labels)
    assert team.access == access


def test_a_strangers_secret_in_the_place_of_a_deleted_one_is_left_alone(installation: Installation, make: Make) -> None:
    team = make().ready()
    old = team.key
    installation.core.replace_namespaced_secret(
        NAME, team.namespace, {"metadata": {"name": NAME}, "stringData": {"password": "not yours"}}
    )
    stranger = team.secret()
    team.condition("KeyIssued", "False", "SecretConflict")
    assert team.secret() == stranger
    # The key stays valid: nobody asked for its end.
    assert team.call(key=old).status_code == 200
    installation.core.delete_namespaced_secret(NAME, team.namespace)
    team.ready()
    assert team.call().status_code == 200


@pytest.mark.parametrize(
    ("edit", "column", "right"),
    [
        ("quota_limit = 9", "quota_limit", 500),
        ("state = 'suspended'", "state", "active"),
        ("allowed_models = '{none}'", "allowed_models", ["*"]),
    ],
)
def test_an_edited_row_is_put_right(
    installation: Installation, make: Make, edit: str, column: str, right: object
) -> None:
    team = make().ready()
    installation.sql.execute(f"UPDATE accounts SET {edit}, cache_stale = true WHERE id = %s", [team.id])
    eventually(lambda: team.row()[column] == right)
    eventually(lambda: team.call().status_code == 200)


def test_a_repair_of_a_row_is_counted(installation: Installation, make: Make) -> None:
    team = make().ready()
    # One that began before the account was ready would not call it a repair.
    installation.operator.wait_swept()
    before = repairs(installation, "row")
    installation.sql.execute("UPDATE accounts SET rate_burst = 1 WHERE id = %s", [team.id])
    eventually(lambda: team.row()["rate_burst"] == 100)
    assert repairs(installation, "row") > before


def test_a_repaired_row_leaves_an_event_and_a_line(installation: Installation, make: Make) -> None:
    team = make().ready()
    installation.operator.wait_swept()
    assert "Repaired" not in team.told()
    installation.sql.execute("UPDATE accounts SET rate_burst = 1 WHERE id = %s", [team.id])
    assert eventually(lambda: team.told()["Repaired"]) == "Normal"
    assert team.row()["rate_burst"] == 100
    lines = [json.loads(line)["message"] for line in installation.log.read_text().splitlines()]
    [line] = [line for line in lines if line.startswith(f"{team.namespace}/acme: The row in Postgres differed")]
    assert "written again" in line


def test_a_lost_row_is_made_anew(installation: Installation, make: Make) -> None:
    team = make().ready()
    lost, old = team.id, team.key
    installation.sql.execute("DELETE FROM accounts WHERE id = %s", [lost])
    eventually(lambda: team.status()["accountId"] != lost)
    team.ready()
    assert team.access["account-id"] == str(team.id)
    assert team.call().status_code == 200
    # Redis serves the lost account until settlement finds no account to book its calls on.
    eventually(lambda: refused(installation.call(lost, old)) in {(401, "unauthenticated"), (404, "not-found")})
    assert refused(installation.call(team.id, old))[0] in {401, 403}


@pytest.mark.parametrize("what", ["deleted", "edited", "without its quota"])
def test_what_redis_lost_is_rebuilt_from_postgres(installation: Installation, make: Make, what: str) -> None:
    team = make({"quota": {"limit": 10}}).ready()
    assert team.call().status_code == 200
    team.used()
    account, quota = f"account:{{{team.id}}}", f"user:{{{team.id}}}:quota"
    held = installation.redis.hgetall(account)
    match what:
        case "deleted":
            installation.redis.delete(account, quota)
        case "edited":
            installation.redis.hset(account, "quota_limit", 10**9)
        case _:
            installation.redis.delete(quota)
    unchanged = held.keys() - {"epoch"}
    eventually(lambda: {name: installation.redis.hget(account, name) for name in unchanged} == {
        name: held[name] for name in unchanged
    })  # fmt: skip
    eventually(lambda: installation.redis.get(quota) == "9")


def test_an_edited_status_is_put_right(installation: Installation, make: Make) -> None:
    team = make().ready()
    account_id = team.id
    installation.custom.patch_namespaced_custom_object_status(
        "luna.dev", "v1", team.namespace, "accounts", "acme", {"status": {"accountId": 1, "conditions": []}}
    )
    eventually(lambda: team.status()["accountId"] == account_id)
    team.ready()
    assert len(conditions(team.status())) == 7


def test_usage_below_a_threshold_is_written_after_its_greatest_age(make: Make) -> None:
    team = make({"quota": {"limit": 100}}).ready()
    assert team.call().status_code == 200
    eventually(lambda: team.status()["usage"]["used"] == 1)
    assert team.status()["usage"]["remaining"] == 99


def test_a_tier_tells_how_many_accounts_have_its_defaults(
    installation: Installation, make: Make, make_tier: MakeTier
) -> None:
    tier = make_tier({"quota": {"limit": 10}})
    for name in ("first", "second"):
        make({"tier": tier}, name).ready()

    def status() -> dict[str, Any]:
        found: dict[str, Any] = installation.cluster.get("tier", tier).get("status", {})
        return found

    def rolled_out() -> dict[str, Any]:
        found = status()
        assert (found["accounts"], conditions(found)["Ready"]["reason"]) == (2, "RolledOut")
        return conditions(found)["Ready"]

    ready = eventually(rolled_out, pause=0.5)
    assert (ready["status"], ready["observedGeneration"]) == ("True", 1)


def test_where_nothing_drifts_nothing_is_written(installation: Installation, make: Make) -> None:
    team = make().ready()
    installation.operator.wait_swept(2)
    account, secret = team.get(), team.secret()
    writes = {request: n for request, n in installation.operator.requests().items() if request.split()[0] not in READS}
    installation.operator.wait_swept(3)
    assert {r: n for r, n in installation.operator.requests().items() if r.split()[0] not in READS} == writes
    assert (team.get(), team.secret()) == (account, secret)


READS = {"get", "list"}
