"""Alerts of jobs over made-up samples: they fire for what is wrong on our side, and for nothing else."""

from __future__ import annotations

import pytest
from tests.charts.evaluator import Evaluator, Series
from tests.charts.test_alerts_fire import counter, gauge
from tests.charts.test_monitoring import rules

RULES = {rule["alert"]: rule for rule in rules()}
WORKERS = ("a", "b")


def attempts(kind: str, **rates: float) -> list[Series]:
    """Attempts per second by status; each scrape shows the whole application."""
    return [
        counter("luna_jobs_attempts_total", rate, kind=kind, status=status, instance=worker)
        for worker in WORKERS
        for status, rate in rates.items()
    ]


def fires(alert: str, series: list[Series]) -> set[frozenset[tuple[str, str]]]:
    return Evaluator(series).firing(RULES[alert], at=7200)


def test_a_kind_whose_attempts_fail_here_is_seen_and_wrong_parameters_are_not() -> None:
    series = [*attempts("kalman/fit", queued=0.1, succeeded=0.3), *attempts("validation", failed=5.0, succeeded=0.1)]
    series += attempts("seldom", queued=0.001, succeeded=3.0)
    assert fires("LunaJobsFail", series) == {frozenset({("kind", "kalman/fit")})}


@pytest.mark.parametrize(("oldest_s", "fired"), [(60, False), (7000, True)])
def test_a_job_that_waits_for_long_is_seen(oldest_s: float, fired: bool) -> None:
    series = [gauge("luna_jobs_oldest_queued_seconds", oldest_s, instance=worker) for worker in WORKERS]
    assert bool(fires("LunaJobsWaitLong", series)) is fired


@pytest.mark.parametrize(("waiting", "rate", "fired"), [(500, 0, True), (500, 2, False), (3, 0, False)])
def test_webhooks_that_wait_while_none_is_tried_are_seen(waiting: float, rate: float, fired: bool) -> None:
    series = [
        each
        for worker in WORKERS
        for each in (
            gauge("luna_jobs_webhooks_waiting", waiting, instance=worker),
            counter("luna_jobs_webhook_tries_total", rate, outcome="failed", instance=worker),
        )
    ]
    assert bool(fires("LunaJobWebhooksWait", series)) is fired


@pytest.mark.parametrize(("per_s", "fired"), [(0.0001, False), (0.01, True)])
def test_messages_that_were_given_up_are_seen(per_s: float, fired: bool) -> None:
    series = [
        counter("luna_jobs_webhook_tries_total", per_s, outcome="given_up", instance=worker) for worker in WORKERS
    ]
    assert bool(Evaluator(series).firing(RULES["LunaJobWebhooksGivenUp"], at=90_000)) is fired


@pytest.mark.parametrize(("per_s", "fired"), [(0.0001, False), (0.01, True)])
def test_workers_that_lose_jobs_are_seen(per_s: float, fired: bool) -> None:
    series = [counter("luna_jobs_leases_lost_total", per_s, kind="kalman/fit", instance=worker) for worker in WORKERS]
    assert bool(fires("LunaJobsLoseWorkers", series)) is fired
