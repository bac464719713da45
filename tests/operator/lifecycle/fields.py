"""The fields that an Account and a Tier share: a change of each, and everywhere it must show."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from tests.operator.lifecycle.team import Team, refused
from tests.operator.operating import eventually

if TYPE_CHECKING:
    from collections.abc import Callable

Tree = dict[str, Any]

LEVEL = {"kind": "local_level", "obs_var": 2.0, "level_var": 0.5}
# One token, and the next in a thousand seconds.
ONE_CALL = {"rateLimit": {"requestsPerSecond": 0.001, "burst": 1}}


@dataclass(frozen=True)
class Change:
    """One field's change."""

    path: str
    before: Tree
    """The spec that the change meets."""
    after: Tree
    """What is merged into it."""
    row: Tree
    """Columns of the account's row."""
    cached: dict[str, str | Tree]
    """Fields of the account's hash in Redis; of one that is JSON what it holds, besides the rest."""
    effective: Tree
    """What `status.effective` then holds, besides the rest."""
    felt: Callable[[Team], None]
    """What a caller meets; fails as long as the change is not in force."""

    def __str__(self) -> str:
        return self.path

    def stored(self, team: Team) -> None:
        """Assert that status, row and hash tell of the change."""
        assert holds(team.status()["effective"], self.effective), team.status()["effective"]
        row, cached = team.row(), team.cached()
        assert {name: row[name] for name in self.row} == self.row
        for name, value in self.cached.items():
            held = json.loads(cached[name]) if isinstance(value, dict) else cached[name]
            assert holds(held, value) if isinstance(value, dict) else held == value


def holds(whole: Tree, part: Tree) -> bool:
    """Whether a tree holds another."""
    return all(
        holds(whole.get(name, {}), value) if isinstance(value, dict) else whole.get(name) == value
        for name, value in part.items()
    )


def _series(count: int) -> Tree:
    return {"model": LEVEL, "observations": [[1.0, 2.0]] * count}


def _quota_of_two(team: Team) -> None:
    assert refused(team.post("/kalman/filter", _series(3))) == (429, "quota-exhausted")
    assert team.post("/kalman/filter", _series(2)).status_code == 200
    assert refused(team.call()) == (429, "quota-exhausted")


def _ends_at_midnight(team: Team) -> None:
    answer = team.get_http()
    midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    assert answer.json()["quota"]["window"] == "Day"
    assert datetime.fromisoformat(answer.json()["quota"]["window_ends_at"]) == midnight
    assert ";w=86400" in answer.headers["ratelimit-policy"].split(",")[0]
    assert datetime.fromisoformat(team.status()["usage"]["windowEndsAt"]) == midnight


def _waits_long(team: Team) -> None:
    assert team.call().status_code == 200
    answer = team.call()
    assert refused(answer) == (429, "rate-limited")
    assert 900 < int(answer.headers["retry-after"]) <= 1000


def _three_at_once(team: Team) -> None:
    assert [team.call().status_code for _ in range(3)] == [200, 200, 200]
    assert refused(team.call()) == (429, "rate-limited")


def _only_local_level(team: Team) -> None:
    other = {"kind": "local_linear_trend", "obs_var": 1.0, "level_var": 0.1, "trend_var": 0.1}
    assert refused(team.post("/kalman/filter", _series(1) | {"model": other})) == (403, "model-not-allowed")
    assert team.post("/kalman/filter", _series(1)).status_code == 200


def _three_points(team: Team) -> None:
    answer = team.call(4)
    assert refused(answer) == (422, "invalid")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/results"]
    assert team.call(3).status_code == 200


def _two_series(team: Team) -> None:
    answer = team.post("/kalman/filter", _series(3))
    assert refused(answer) == (422, "invalid")
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/observations"]
    assert team.post("/kalman/filter", _series(2)).status_code == 200


def _a_week(team: Team) -> None:
    since = datetime.fromisoformat(team.get_http("/usage").json()["since"])
    assert datetime.now(UTC) - since < timedelta(days=7, minutes=1)


def _shown(name: str, value: int, team: Team) -> None:
    # What these do show tests/jobs/queue, tests/capabilities/metrics and tests/capabilities/alerts.
    assert team.get_http().json()["limits"][name] == value


def _job(team: Team) -> dict[str, Any]:
    parameters = {"model": LEVEL, "length": 3, "initial_state": [0.0]}
    answer = team.post("/jobs/", {"kind": "kalman/simulate", "parameters": parameters})
    assert answer.status_code == 201, answer.text
    return answer.json()


def _nine_bytes(team: Team) -> None:
    job = _job(team)

    def ended() -> dict[str, Any]:
        now = team.get_http(f"/jobs/{job['id']}").json()
        assert now["status"] == "failed", now
        return now

    assert eventually(ended, seconds=30)["error"]["type"].endswith("/result-too-large")


def _nine_days(team: Team) -> None:
    job = _job(team)
    kept = datetime.fromisoformat(job["expires_at"]) - datetime.fromisoformat(job["created_at"])
    assert kept == timedelta(days=9)


def _nine_stored(team: Team) -> None:
    file = {"path": "a.csv", "bytes": 10, "sha256": "0" * 64, "media_type": "text/csv"}
    contract = {"time_column": "ts", "value_columns": ["y"]}
    answer = team.post("/upload/start", {"name": "a", "type": "series", "contract": contract, "files": [file]})
    assert answer.status_code == 413, answer.text


CHANGES = [
    Change(
        "quota.limit",
        before={"quota": {"limit": 1000}},
        after={"quota": {"limit": 2}},
        row={"quota_limit": 2},
        cached={"quota_limit": "2"},
        effective={"quota": {"limit": 2}},
        felt=_quota_of_two,
    ),
    Change(
        "quota.window",
        before={"quota": {"window": "Lifetime"}},
        after={"quota": {"window": "Day"}},
        row={"quota_window": "Day"},
        cached={"window_s": "86400"},
        effective={"quota": {"window": "Day"}},
        felt=_ends_at_midnight,
    ),
    Change(
        "rateLimit.requestsPerSecond",
        before={"rateLimit": {"requestsPerSecond": 1, "burst": 1}},
        after={"rateLimit": {"requestsPerSecond": 0.001}},
        row={"rate_per_second": 0.001},
        cached={"interval": "1000000000"},
        effective={"rateLimit": {"requestsPerSecond": 0.001, "burst": 1}},
        felt=_waits_long,
    ),
    Change(
        "rateLimit.burst",
        before=ONE_CALL,
        after={"rateLimit": {"burst": 3}},
        row={"rate_burst": 3},
        cached={"burst": "3"},
        effective={"rateLimit": {"requestsPerSecond": 0.001, "burst": 3}},
        felt=_three_at_once,
    ),
    Change(
        "allowedModels",
        before={"allowedModels": ["*"]},
        after={"allowedModels": ["local_level"]},
        row={"allowed_models": ["local_level"]},
        cached={"models": "\nlocal_level\n"},
        effective={"allowedModels": ["local_level"]},
        felt=_only_local_level,
    ),
    Change(
        "allowed",
        before={"allowed": {"kalman": ["*"]}},
        after={"allowed": {"kalman": ["local_level"]}},
        row={"allowed": {"kalman": ["local_level"]}, "allowed_models": ["local_level"]},
        cached={"allowed": '{"kalman":["local_level"]}'},
        effective={"allowed": {"kalman": ["local_level"]}, "allowedModels": ["local_level"]},
        felt=_only_local_level,
    ),
    Change(
        "limits.maxSeriesLength",
        before={},
        after={"limits": {"maxSeriesLength": 3}},
        row={"max_series_length": 3, "limits": {"max_series_length": 3}},
        cached={"max_length": "3", "limits": {"max_series_length": 3}},
        effective={"limits": {"maxSeriesLength": 3}},
        felt=_three_points,
    ),
    Change(
        "limits.maxSeriesPerRequest",
        before={},
        after={"limits": {"maxSeriesPerRequest": 2}},
        row={"max_series_per_request": 2},
        cached={"max_series": "2"},
        effective={"limits": {"maxSeriesPerRequest": 2}},
        felt=_two_series,
    ),
    Change(
        "limits.historyDays",
        before={},
        after={"limits": {"historyDays": 7}},
        row={"history_days": 7},
        cached={},
        effective={"limits": {"historyDays": 7}},
        felt=_a_week,
    ),
    *(
        Change(
            f"limits.{field}",
            before={},
            after={"limits": {field: value}},
            row={"limits": {name: value}},
            cached={"limits": {name: value}},
            effective={"limits": {field: value}},
            felt=felt,
        )
        for field, name, value, felt in (
            ("jobsConcurrent", "jobs.concurrent", 9, partial(_shown, "jobs.concurrent", 9)),
            ("jobsQueued", "jobs.queued", 9, partial(_shown, "jobs.queued", 9)),
            ("jobsSeconds", "jobs.seconds", 9, partial(_shown, "jobs.seconds", 9)),
            ("jobsWeight", "jobs.weight", 9, partial(_shown, "jobs.weight", 9)),
            ("jobsResultBytes", "jobs.result_bytes", 9, _nine_bytes),
            ("jobsResultDays", "jobs.result_days", 9, _nine_days),
            ("datasetsStoredBytes", "datasets.stored_bytes", 9, _nine_stored),
            ("alertsRules", "alerts.rules", 9, partial(_shown, "alerts.rules", 9)),
            ("metricsActiveSeries", "metrics.active_series", 9, partial(_shown, "metrics.active_series", 9)),
            (
                "metricsSamplesPerSecond",
                "metrics.samples_per_second",
                9,
                partial(_shown, "metrics.samples_per_second", 9),
            ),
            ("metricsLabels", "metrics.labels", 9, partial(_shown, "metrics.labels", 9)),
            ("metricsQuerySamples", "metrics.query_samples", 9, partial(_shown, "metrics.query_samples", 9)),
            ("metricsRetentionDays", "metrics.retention_days", 9, partial(_shown, "metrics.retention_days", 9)),
            ("metricsSockets", "metrics.sockets", 9, partial(_shown, "metrics.sockets", 9)),
        )
    ),
]
