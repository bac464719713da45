"""Alerts over made-up samples: they fire for what is wrong, and for nothing else."""

from __future__ import annotations

import pytest
from tests.charts.evaluator import Evaluator, Series
from tests.charts.test_monitoring import rules

STUCK = next(rule for rule in rules() if rule["alert"] == "LunaModelStuck")
NAMESPACE = {"namespace": "models"}


def gauge(name: str, value: float, **labels: str) -> Series:
    return Series(name, NAMESPACE | labels, lambda _: value)


def counter(name: str, rate: float, until: float = float("inf"), **labels: str) -> Series:
    return Series(name, NAMESPACE | labels, lambda at: rate * min(at, until))


def of(capability: str, *, queued: float, rate: float, until: float = float("inf")) -> list[Series]:
    """What two workers show of a capability: each scrape shows the whole application."""
    return [
        series
        for worker in ("a", "b")
        for series in (
            gauge("luna_queued_calls", queued, capability=capability, instance=worker),
            counter("luna_replica_seconds_count", rate, until, capability=capability, instance=worker),
        )
    ]


@pytest.mark.parametrize(
    ("stuck", "healthy", "fires"),
    [
        pytest.param({"queued": 7, "rate": 0}, {"queued": 0, "rate": 5}, True, id="never answered"),
        pytest.param({"queued": 7, "rate": 3, "until": 3600}, {"queued": 9, "rate": 5}, True, id="stopped an hour ago"),
        pytest.param({"queued": 7, "rate": 0.01}, {"queued": 0, "rate": 5}, False, id="slow, but answers"),
        pytest.param({"queued": 0, "rate": 0}, {"queued": 9, "rate": 5}, False, id="idle"),
    ],
)
def test_one_stuck_capability_is_seen_although_another_is_healthy(
    stuck: dict[str, float], healthy: dict[str, float], fires: bool
) -> None:
    evaluator = Evaluator([*of("indicators", **stuck), *of("kalman", **healthy)])
    assert evaluator.firing(STUCK, at=7200) == ({frozenset({("capability", "indicators")})} if fires else set())


def test_a_capability_that_stopped_a_moment_ago_is_given_time() -> None:
    evaluator = Evaluator([*of("indicators", queued=7, rate=3, until=7200 - 420), *of("kalman", queued=0, rate=5)])
    assert evaluator.firing(STUCK, at=7200) == set()
    assert evaluator.firing(STUCK, at=7200 + 300)


@pytest.mark.parametrize(("rate", "fires"), [(0, False), (0.5, True)])
def test_dropped_rows_of_the_request_log_are_told(rate: float, fires: bool) -> None:
    drops = next(rule for rule in rules() if rule["alert"] == "LunaRequestLogDropsRows")
    both = [counter("luna_request_log_dropped_total", rate, instance=worker) for worker in ("a", "b")]
    assert bool(Evaluator(both).firing(drops, at=3600)) is fires


REFUSED = next(rule for rule in rules() if rule["alert"] == "LunaAttemptsRefused")


def test_a_storm_of_refused_attempts_is_seen_once_per_kind_and_a_few_are_not() -> None:
    def shown(kind: str, rate: float, until: float = float("inf")) -> list[Series]:
        return [counter("luna_throttled_total", rate, until, kind=kind, instance=worker) for worker in ("a", "b")]

    evaluator = Evaluator([*shown("login", 20), *shown("key", 0.1), *shown("refresh", 20, until=6000)])
    assert evaluator.firing(REFUSED, at=7200) == {frozenset({("kind", "login")})}


@pytest.mark.parametrize(("failing", "fires"), [(0.0, False), (0.02, False), (0.5, True)])
def test_an_object_store_that_fails_is_told_and_a_single_failure_is_not(failing: float, fires: bool) -> None:
    fails = next(rule for rule in rules() if rule["alert"] == "LunaObjectStoreFails")
    both = [counter("luna_objects_failures_total", failing, operation="put", instance=w) for w in ("a", "b")]
    assert bool(Evaluator(both).firing(fails, at=3600)) is fires
