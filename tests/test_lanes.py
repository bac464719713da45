"""The lanes of a run with two workers (docs/decisions/0068)."""

from __future__ import annotations

import os
import sys

import pytest
from tests.lanes import SERVERS, lane_of, yield_to_servers

# Whatever starts a process that others speak to goes through one of these.
SERVER_FIXTURES = {"postgres_server", "valkey_server", "object_server", "kubernetes", "platform"}


def test_tests_that_only_compute_ask_for_no_server(request: pytest.FixtureRequest) -> None:
    asking = {
        item.nodeid.partition("::")[0]
        for item in request.session.items
        if isinstance(item, pytest.Function) and SERVER_FIXTURES & set(item.fixturenames)
    }
    assert {lane_of(module) for module in asking} <= {SERVERS}


def test_a_module_of_an_engine_is_a_unit_of_its_own_and_all_else_is_one() -> None:
    assert lane_of("tests/engines/promql/test_semantics.py::test_a[b::c]") == "tests/engines/promql/test_semantics.py"
    assert lane_of("tests/store/test_quota.py::test_a") == lane_of("tests/test_pages.py::test_b") == SERVERS


@pytest.mark.skipif(sys.platform != "linux", reason="SCHED_IDLE is Linux'")
def test_tests_with_servers_keep_their_priority(request: pytest.FixtureRequest) -> None:
    yield_to_servers(request.node)
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
