"""The operator's metrics: those that docs/exported-metrics.md lists, and no others, and what they count."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
from prometheus_client.parser import text_string_to_metric_families
from tests.operator.operating import HOST, eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric
    from tests.operator.lifecycle.conftest import Make
    from tests.operator.lifecycle.installation import Installation

PAGE = Path(__file__).resolve().parents[3] / "docs" / "exported-metrics.md"
ROW = re.compile(r"^\| `(luna_(?:operator|settlement)_\w+)` \| (\w+) \| ([\w, ]*) ?\|", re.MULTILINE)


def exported(installation: Installation) -> Iterator[Metric]:
    page = httpx.get(f"http://{HOST}:{installation.operator.metrics_port}/metrics").text
    yield from text_string_to_metric_families(page)


def full_name(metric: Metric) -> str:
    """The name on the page: the parser removes `_total`."""
    return f"{metric.name}_total" if metric.type == "counter" else metric.name


def test_the_documented_metrics_are_those_that_are_exported(installation: Installation) -> None:
    documented = {name: kind for name, kind, _ in ROW.findall(PAGE.read_text())}
    found = {full_name(m): m.type for m in exported(installation) if not m.name.endswith("_created")}
    assert found == documented


def test_the_documented_labels_are_those_that_are_exported(installation: Installation, make: Make) -> None:
    make().ready()
    documented = {
        name: {label for label in labels.replace(" ", "").split(",") if label}
        for name, _, labels in ROW.findall(PAGE.read_text())
    }
    seen = {
        full_name(metric): set(sample.labels) - {"le"}
        for metric in exported(installation)
        for sample in metric.samples
        if not metric.name.endswith("_created")
    }
    assert seen.keys() >= {
        "luna_operator_reconciles_total",
        "luna_operator_kube_requests_total",
        "luna_operator_accounts",
        "luna_operator_keys_issued_total",
    }
    assert seen == {name: documented[name] for name in seen}


def test_an_account_is_counted_on_its_way(installation: Installation, make: Make) -> None:
    operator = installation.operator
    watched: dict[str, dict[str, str]] = {
        "luna_operator_reconciles_total": {"result": "ok"},
        "luna_operator_reconcile_seconds_count": {},
        "luna_operator_queue_seconds_count": {},
        "luna_operator_keys_issued_total": {"reason": "first"},
    }
    before = {name: operator.metric(name, **labels) for name, labels in watched.items()}
    rotated = operator.metric("luna_operator_keys_issued_total", reason="requested")
    team = make().ready()
    for name, labels in watched.items():
        # The status is written a moment before the reconciliation ends.
        eventually(lambda: operator.metric(name, **labels) > before[name])  # noqa: B023  called at once
    team.patch({"apiKey": {"rotationRequestedAt": "2026-11-21T09:00:00Z"}}).ready()
    assert operator.metric("luna_operator_keys_issued_total", reason="requested") == rotated + 1
    first = {"name": "luna_operator_keys_issued_total", "reason": "first"}
    assert operator.metric(**first) == before["luna_operator_keys_issued_total"] + 1
    assert operator.metric("luna_operator_leader") == 1
    eventually(lambda: operator.metric("luna_operator_queue_depth") == 0)
    assert 0 <= time.time() - operator.metric("luna_operator_last_sweep_timestamp_seconds") < 3600


def test_accounts_are_counted_by_whether_they_are_ready(installation: Installation, make: Make) -> None:
    make(name="good").ready()
    make({"suspended": True}, "stopped").condition("Ready", "False")
    with installation.another() as operator:
        assert operator.metric("luna_operator_accounts", ready="true") == 1
        assert operator.metric("luna_operator_accounts", ready="false") == 1
