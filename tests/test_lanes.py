"""The lanes of a run with two workers (docs/decisions/0068)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.lanes import COMPUTING, lane_of

# Whatever starts a process that others speak to goes through one of these.
SERVERS = {"postgres_server", "valkey_server", "object_server", "kubernetes", "platform"}
RAY = {"platform"}
ROOT = Path(__file__).parents[1]


def _asking(request: pytest.FixtureRequest, fixtures: set[str]) -> set[str]:
    """The lanes of the tests of this run that ask for one of the fixtures."""
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    return {lane_of(item.nodeid) for item in items if fixtures & set(item.fixturenames)}


def test_tests_that_only_compute_ask_for_no_server(request: pytest.FixtureRequest) -> None:
    assert not [lane for lane in _asking(request, SERVERS) if lane.startswith(COMPUTING)]


def test_one_worker_alone_starts_ray(request: pytest.FixtureRequest) -> None:
    assert _asking(request, RAY) <= {"timed"}


def test_a_module_of_an_engine_is_a_unit_of_its_own_and_the_rest_are_two() -> None:
    assert lane_of("tests/engines/promql/test_semantics.py::test_a[b::c]") == "tests/engines/promql/test_semantics.py"
    assert lane_of("tests/store/test_quota.py::test_a") == lane_of("tests/operator/test_b.py::test_b") == "patient"
    assert lane_of("tests/edge/test_sockets.py::test_a") == lane_of("tests/test_pages.py::test_b") == "timed"


_PRIORITIES = """
import os
from tests.lanes import BEGUN, give_way
for nodeid in ("tests/edge/a.py::a", "tests/operator/b.py::b", "tests/engines/c.py::c"):
    give_way(nodeid)
    print(os.sched_getscheduler(0) == os.SCHED_IDLE, os.getpriority(os.PRIO_PROCESS, 0) - BEGUN)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="SCHED_IDLE is Linux'")
def test_each_lane_has_its_priority() -> None:
    ran = subprocess.run([sys.executable, "-c", _PRIORITIES], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[:2] == ["False 0", "False 10"]
    assert ran.stdout.splitlines()[2].startswith("True")
