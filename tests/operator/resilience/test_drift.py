"""Whatever somebody changes behind the operator's back, a sweep finds and repairs; it counts each once."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
import redis
from tests.operator.operating import eventually
from tests.operator.resilience.calls import call, presented_key
from tests.operator.resilience.drift import (
    CACHE,
    DRIFTS,
    MEMBERS,
    MEMBERS_SPEC,
    NEW_KEY,
    ROW,
    SAME_KEY,
    TAKEN_UP,
    WATCHED,
    Hand,
)
from tests.operator.resilience.exact import Exactness
from tests.operator.resilience.forked import ForkedOperator
from tests.operator.resilience.history import History
from tests.operator.resilience.kube_api import KubeApi, secret_path
from tests.operator.resilience.stores import own_stores
from tests.stopping import stopped

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cluster.kubernetes import Kubernetes
    from tests.operator.operating import Operator, Surroundings

SWEEP_S = 2
WHERE = ("row", "members", "cache", "secret", "status")


@dataclass(frozen=True)
class Run:
    """What was seen of all drifts at once."""

    broken: dict[str, list[str]]
    """The differences by Account, before the operator looked."""
    left: list[str]
    """All differences after two more sweeps."""
    keys: tuple[dict[str, str], dict[str, str]]
    """The keys in the Secrets, before and after."""
    repairs: Counter[str]
    keys_issued: int
    requests: Counter[str]
    """The duration of two or three sweeps that found nothing more."""


def repairs(operator: Operator) -> Counter[str]:
    return Counter({where: int(operator.metric("luna_operator_repairs_total", where=where)) for where in WHERE})


def keys(api: KubeApi, namespace: str) -> dict[str, str]:
    return {name: presented_key(api, api.account(namespace, name)) for name in DRIFTS}


@pytest.fixture(scope="module")
def run(luna_cluster: Kubernetes, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Let every drift happen while the operator is stopped, and see what it makes of it."""
    folder, api, history = tmp_path_factory.mktemp("drift"), KubeApi(luna_cluster.kubeconfig), History()
    with own_stores(luna_cluster, folder) as stores, luna_cluster.namespace("drift") as namespace:
        exact = Exactness(api, stores.around, history)
        for name in (*DRIFTS, "untouched"):
            spec = MEMBERS_SPEC if name in MEMBERS else {}
            uid = api.create_account(namespace, name, spec)["metadata"]["uid"]
            # An invalid key retires next to the new one.
            history.rotations[uid] = int(name in NEW_KEY | TAKEN_UP)
        with ForkedOperator(stores.around, folder, sweep_s=SWEEP_S) as operator:
            eventually(exact.require, 60)
            operator.wait_swept(2)
            assert repairs(operator).total() == 0
            before = keys(api, namespace)
            with stopped(operator.process.pid):
                hands = {name: Hand(stores.around, api, namespace, name) for name in DRIFTS}
                exact.forgotten = {hands[name].digest() for name in ("key-deleted", "key-digest")}
                for name, drift in DRIFTS.items():
                    drift(hands[name])
                found = exact.differences()
            broken = {name: [said for said in found if said.startswith(f"{namespace}/{name}:")] for name in DRIFTS}
            # The first sweep may have begun before.
            operator.wait_swept(2)
            # The remaining drift is reported one by one.
            with suppress(AssertionError):
                eventually(exact.require, 2 * SWEEP_S)
            operator.wait_swept(2)
            requests = Counter(operator.requests())
            operator.wait_swept(2)
            return Run(
                broken=broken,
                left=exact.differences(),
                keys=(before, keys(api, namespace)),
                repairs=repairs(operator),
                keys_issued=int(operator.metric("luna_operator_keys_issued_total")) - len(before) - 1,
                requests=Counter(operator.requests()) - requests,
            )


@pytest.mark.parametrize("name", DRIFTS)
def test_drift_is_repaired_within_a_sweep(run: Run, name: str) -> None:
    assert run.broken[name]
    assert [said for said in run.left if f"/{name}:" in said] == []


def test_nothing_else_is_different_after_all_repairs(run: Run) -> None:
    assert not run.left, "\n".join(run.left)


@pytest.mark.parametrize("name", NEW_KEY | TAKEN_UP)
def test_a_key_that_opens_nothing_is_replaced(run: Run, name: str) -> None:
    assert run.keys[0][name] != run.keys[1][name]


@pytest.mark.parametrize("name", [*ROW, *MEMBERS, *SAME_KEY, *CACHE, *WATCHED])
def test_a_key_that_opens_the_door_stays(run: Run, name: str) -> None:
    assert run.keys[0][name] == run.keys[1][name]


def test_each_repair_is_counted_once(run: Run) -> None:
    assert run.repairs["row"] == len(ROW | TAKEN_UP)
    assert run.repairs["members"] == len(MEMBERS)
    assert run.repairs["secret"] == len(TAKEN_UP | NEW_KEY | SAME_KEY)
    # A row or a key that was edited is not what Redis holds, either.
    assert len(CACHE) <= run.repairs["cache"] <= len(CACHE | ROW | MEMBERS | TAKEN_UP | NEW_KEY | SAME_KEY)
    # The watch tells of these, and may be quicker.
    assert run.repairs["status"] <= len(WATCHED)
    assert run.keys_issued == len(NEW_KEY | TAKEN_UP)


def test_a_sweep_asks_for_pages_and_not_for_accounts(run: Run) -> None:
    assert set(run.requests) == {"list accounts 200", "list secrets 200", "list tiers 200"}
    # So many accounts fit into a page; the third sweep may have begun.
    assert max(run.requests.values()) <= 3 < len(DRIFTS)


def test_a_wiped_redis_is_filled_again_and_gives_no_unit_back(
    around: Surroundings, api: KubeApi, namespace: str, exact: Exactness, tmp_path: Path
) -> None:
    for number in range(20):
        api.create_account(namespace, f"team-{number}", {"quota": {"limit": 10}})
    with ForkedOperator(around, tmp_path, sweep_s=SWEEP_S, usage_s=1, usage_max_age_s=1) as operator:
        eventually(exact.require, 60)
        account = api.account(namespace, "team-7")
        assert call(around, api, account, 6).admitted
        eventually(exact.require)
        with redis.Redis.from_url(around.redis_url) as client:
            client.flushall()
        assert exact.differences()
        operator.wait_swept(1)
        eventually(exact.require, 2 * SWEEP_S)
        assert call(around, api, account, 5).outcome == "quota"
        assert call(around, api, account, 4).admitted
        # Each at most once, however it was found.
        assert repairs(operator)["cache"] <= 20
        assert repairs(operator).total() == repairs(operator)["cache"]


def test_a_secret_without_its_owner_is_a_strangers_until_it_is_deleted(
    around: Surroundings, api: KubeApi, namespace: str, exact: Exactness, history: History, tmp_path: Path
) -> None:
    uid = api.create_account(namespace, "acme", {})["metadata"]["uid"]
    path = secret_path(namespace, "acme-luna-key")
    with ForkedOperator(around, tmp_path, sweep_s=SWEEP_S, usage_s=1, usage_max_age_s=1) as operator:
        eventually(exact.require, 60)
        account = api.account(namespace, "acme")
        disowned = api.merge(path, {"metadata": {"ownerReferences": None}})
        exact.obstacles = {(namespace, "acme"): "SecretConflict"}
        eventually(exact.require)
        operator.wait_swept(2)
        # It is left unchanged, and so is its key.
        assert api.request("GET", path) == disowned
        assert call(around, api, account, 1).admitted
        assert repairs(operator).total() == 0
        api.request("DELETE", path)
        exact.obstacles = {}
        history.rotations[uid] += 1
        eventually(exact.require)
        assert call(around, api, account, 1).admitted
