"""The lanes of a run with two workers (docs/decisions/0068)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tests.lanes import SERVERS, lane_of

# Whatever starts a process that others speak to goes through one of these.
FIXTURES = {"postgres_server", "valkey_server", "object_server", "kubernetes", "platform"}
ROOT = Path(__file__).parents[1]


def test_tests_that_only_compute_ask_for_no_server(request: pytest.FixtureRequest) -> None:
    items = [item for item in request.session.items if isinstance(item, pytest.Function)]
    assert {lane_of(item.nodeid) for item in items if FIXTURES & set(item.fixturenames)} <= {SERVERS}


def test_a_module_of_an_engine_is_a_unit_of_its_own_and_all_else_is_one() -> None:
    assert lane_of("tests/engines/promql/test_semantics.py::test_a[b::c]") == "tests/engines/promql/test_semantics.py"
    assert lane_of("tests/store/test_quota.py::test_a") == lane_of("tests/test_pages.py::test_b") == SERVERS


_PRIORITIES = """
import os
from tests.lanes import give_way
for nodeid in ("tests/edge/a.py::a", "tests/engines/c.py::c"):
    give_way(nodeid)
    print(os.sched_getscheduler(0) == os.SCHED_IDLE)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="SCHED_IDLE is Linux'")
def test_each_lane_has_its_priority() -> None:
    ran = subprocess.run([sys.executable, "-c", _PRIORITIES], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "True"]
