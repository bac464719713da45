"""Two replicas: one works, the other takes over within seconds, and both may work at once."""

from __future__ import annotations

import json
import os
import signal
import time
import urllib.request
from contextlib import ExitStack
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.operator.operating import HOST, Surroundings, eventually
from tests.operator.resilience.changes import Changes
from tests.operator.resilience.exact import Exactness
from tests.operator.resilience.forked import ForkedOperator
from tests.operator.resilience.kube_api import KubeApi
from tests.operator.resilience.logs import errors
from tests.stopping import stopped

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.operator.operating import Operator

# Both look for the lock, and hold it against loss, every 2 s.
TAKES_OVER_S = 10.0

LEADERS = """
    SELECT pid FROM pg_locks l JOIN pg_database d ON d.oid = l.database
    WHERE locktype = 'advisory' AND granted AND datname = current_database()
"""


def leads(operator: Operator) -> bool:
    return operator.metric("luna_operator_leader") == 1


def loops(operator: Operator) -> dict[str, float]:
    """What /healthz watches: seconds since the last round of each loop."""
    with urllib.request.urlopen(f"http://{HOST}:{operator.health_port}/healthz", timeout=5) as answer:
        return json.load(answer)["loops"]


def take_the_locks(around: Surroundings) -> int:
    """End the connections that hold the locks, of the operator and of settlement; returns how many there were."""
    with psycopg.connect(around.database_url, autocommit=True) as connection:
        return len(connection.execute(f"SELECT pg_terminate_backend(pid) FROM ({LEADERS})").fetchall())


def end_frozen_transactions(around: Surroundings) -> None:
    """As Postgres does by itself, but after 30 s: see `luna_store.platform.postgres.IDLE_IN_TRANSACTION_S`."""
    with psycopg.connect(around.database_url, autocommit=True) as connection:
        connection.execute("""
            SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND state = 'idle in transaction' AND xact_start < now() - interval '1 s'
        """)


@pytest.fixture
def pair(around: Surroundings, tmp_path: Path) -> Iterator[tuple[Operator, Operator]]:
    """The one that leads, and the one that stands by."""
    with ExitStack() as stack:
        folders = [tmp_path / name for name in ("first", "second")]
        for folder in folders:
            folder.mkdir()
        first = stack.enter_context(ForkedOperator(around, folders[0], sweep_s=2)).wait_leading()
        second = stack.enter_context(ForkedOperator(around, folders[1], sweep_s=2)).wait_ready()
        yield first, second
        for operator in (first, second):
            if operator.process.poll() is None:
                os.kill(operator.process.pid, signal.SIGCONT)
                operator.stop()
        assert [line for folder in folders for line in errors(folder)] == []


def test_a_replica_that_stands_by_is_ready_and_writes_nothing(
    pair: tuple[Operator, Operator], api: KubeApi, namespace: str, exact: Exactness
) -> None:
    leader, standby = pair
    api.create_account(namespace, "acme", {})
    eventually(exact.require)
    leader.wait_swept(2)
    assert (leads(leader), leads(standby)) == (True, False)
    assert leader.ready()
    assert standby.ready()
    assert standby.requests() == {}


def test_the_other_takes_over_within_seconds_from_one_that_was_killed(
    pair: tuple[Operator, Operator], api: KubeApi, namespace: str, exact: Exactness
) -> None:
    leader, standby = pair
    for number in range(10):
        api.create_account(namespace, f"before-{number}", {})
    leader.kill()
    began = time.monotonic()
    api.create_account(namespace, "meanwhile", {})
    standby.wait_leading(TAKES_OVER_S)
    eventually(exact.require)
    assert time.monotonic() - began < 3 * TAKES_OVER_S
    # It was listening all the time: what it finds is what was not done.
    assert standby.metric("luna_operator_repairs_total") == 0


def test_one_that_ends_in_good_order_hands_over(
    pair: tuple[Operator, Operator], api: KubeApi, namespace: str, exact: Exactness
) -> None:
    leader, standby = pair
    assert leader.stop() == 0
    standby.wait_leading(TAKES_OVER_S)
    api.create_account(namespace, "acme", {})
    eventually(exact.require)


def test_one_that_was_stopped_keeps_the_work_and_goes_on_where_it_was(
    pair: tuple[Operator, Operator], api: KubeApi, namespace: str, exact: Exactness
) -> None:
    leader, standby = pair
    for number in range(20):
        api.create_account(namespace, f"team-{number}", {})
    with stopped(leader.process.pid):
        for number in range(0, 20, 2):
            api.edit_account(namespace, f"team-{number}", {"quota": {"limit": number}})
        # Its connection lives, and so does its lock: Kubernetes restarts the pod, whose probes answer no more.
        time.sleep(5)
        assert not leads(standby)
        assert standby.ready()
    eventually(exact.require)
    assert leads(leader)


def test_one_that_wakes_up_beside_its_successor_does_no_harm(
    pair: tuple[Operator, Operator], around: Surroundings, api: KubeApi, namespace: str, exact: Exactness
) -> None:
    leader, standby = pair
    for number in range(30):
        api.create_account(namespace, f"team-{number}", {})
    eventually(lambda: leader.metric("luna_operator_reconcile_seconds_count") > 3)
    with stopped(leader.process.pid):
        assert take_the_locks(around) >= 1
        standby.wait_leading(TAKES_OVER_S)
        end_frozen_transactions(around)
        for number in range(0, 30, 3):
            api.edit_account(namespace, f"team-{number}", {"quota": {"limit": number}})
        eventually(exact.require, 60)
    # It goes on in the middle of what it was doing, with a memory that is old by now.
    eventually(lambda: not leads(leader))
    standby.wait_swept(2)
    eventually(exact.require)
    assert leads(standby)
    # A replica that stands by does not sweep, and is no less alive for that.
    assert {"leadership"} == loops(leader).keys() < loops(standby).keys()


@pytest.mark.slow
def test_replicas_whose_lock_is_taken_away_again_and_again_end_exactly(
    pair: tuple[Operator, Operator], around: Surroundings, namespace: str, tiers: list[str], api: KubeApi
) -> None:
    random = Random(7)
    changes, done = Changes(KubeApi(around.kubeconfig), namespace, tiers, random), Event()
    taken = 0

    def work() -> None:
        for kind in changes.deck[:120]:
            changes.make(kind)
            time.sleep(random.uniform(0, 0.15))
        done.set()

    client = Thread(target=work, daemon=True)
    client.start()
    while not done.wait(0.7):
        taken += take_the_locks(around)
        assert client.is_alive() or done.is_set()
    assert taken >= 4
    # At each change of hands, one key more than was asked for may have been made.
    for uid in [account["metadata"]["uid"] for account in api.accounts()]:
        changes.history.rotations[uid] += 2
    exact = Exactness(api, around, changes.history)
    eventually(exact.require, 60)
    for operator in pair:
        assert operator.metric("luna_operator_reconciles_total", result="error") == 0
