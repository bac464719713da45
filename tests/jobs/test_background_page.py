"""docs/background.md names the loops and metrics that there are."""

import re
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from luna_serving.capabilities.account.audit.loops import audit_retention
from luna_serving.capabilities.account.loops import LOOPS
from luna_serving.capabilities.account.requests.loops import retention
from luna_serving.capabilities.kalman.loops import loops as kalman_loops
from luna_serving.capabilities.people.loops import LOOPS as people_loops  # noqa: N811
from luna_serving.jobs.forgetting import forgetting
from luna_serving.jobs.housekeeping import BacklogMetrics, housekeeping
from luna_serving.jobs.loops import ASK_EVERY_S, FAILURES_IN_A_ROW, LEASE_S, LONGEST_BACKOFF_S
from luna_serving.jobs.metrics import LoopMetrics
from luna_serving.jobs.workers import STOP_S
from luna_store.platform.leases import FENCED_IDLE_S

PAGE = (Path(__file__).parents[2] / "docs" / "background.md").read_text()
METRICS = (Path(__file__).parents[2] / "docs" / "exported-metrics.md").read_text()
PERIODS = {"5 seconds": 5.0, "30 seconds": 30.0, "10 seconds": 10.0, "5 minutes": 300.0, "hour": 3600.0, "day": 86400.0}


def test_the_page_lists_every_loop_with_its_period_and_no_other() -> None:
    listed = {
        name: PERIODS[period]
        for name, period in re.findall(
            r"^\| `([\w.]+)` \| (5 seconds|10 seconds|30 seconds|5 minutes|hour|day) \|", PAGE, re.MULTILINE
        )
    }
    declared = (
        *LOOPS,
        *kalman_loops(timedelta(days=30)),
        forgetting({}),
        retention(30),
        audit_retention(400),
        *people_loops,
        *housekeeping(BacklogMetrics(CollectorRegistry())),
    )
    assert listed == {loop.name: loop.every_s for loop in declared}


def test_the_page_lists_every_metric_with_its_kind_and_no_other() -> None:
    registry = CollectorRegistry()
    LoopMetrics(registry)
    kinds = {f"{m.name}_total" if m.type == "counter" else m.name: m.type for m in registry.collect()}
    assert dict(re.findall(r"^\| `(luna_loop\w+)` \| (\w+) \|", METRICS, re.MULTILINE)) == kinds


@pytest.mark.parametrize(
    "claim",
    [
        f"at most {LONGEST_BACKOFF_S / 60:g} minutes",
        f"loses its leases\n  after {LEASE_S:g} seconds; another one has them within {ASK_EVERY_S:g} seconds more",
        f"within {STOP_S:g} seconds",
        f"rests for {FENCED_IDLE_S:g} seconds",
        {3: "From the third failure in a row on"}[FAILURES_IN_A_ROW],
    ],
)
def test_the_page_states_the_times_that_apply(claim: str) -> None:
    assert claim in PAGE
