"""Timelines of random rules over random series equal those of `promtool test rules`, where it is installed.

Samples are kept off the grid of evaluations: ranges of Prometheus 2 are closed on the left, those of 3 are open. No
label is empty: the series ALERTS of Prometheus shows the template then, though the alert has no such label. `rate`
is left out: since Prometheus 3 it extrapolates to zero in another order.
"""

import asyncio
import json
import random
import shutil
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.capabilities.alerts.samples import MemorySamples

from luna_serving.capabilities.alerts.evaluation.elements import elements_of
from luna_serving.capabilities.alerts.rules.rule import Rule, rule_of
from luna_serving.capabilities.alerts.states.advance import AlertState, State, advance
from luna_serving.engines.promql.api import STALE
from luna_serving.samples.requests import InstantQuery

PROMTOOL = shutil.which("promtool")
EVERY_MS = 15_000
SAMPLE_MS = 7_001
EVALUATIONS = 60
ID = uuid.UUID(int=1)
EXPRESSIONS = (
    "m > {x}",
    'm{{host=~"a|b"}} >= {x}',
    "m != {x}",
    "delta(m[1m]) > {x} / 2",
    "avg by (host) (m) > {x}",
    "sum(m) > 2 * {x}",
    "max_over_time(m[45s]) - min_over_time(m[45s]) > {x}",
    'absent(m{{host="a"}})',
    "m > {x} unless on (host) n > {x}",
    "count(m > {x}) > 1",
    "m / on (host) group_left n > {x}",
    "topk(1, m) > {x}",
    "m > {x} and on () n",
)


@dataclass(frozen=True)
class Case:
    """A rule with its series."""

    name: str
    document: dict[str, Any]
    series: Mapping[str, list[str]]


def case(seed: int) -> Case:
    draw = random.Random(seed)
    document = {
        "name": f"rule{seed}",
        "expr": draw.choice(EXPRESSIONS).format(x=round(draw.uniform(0.2, 0.8), 2)),
        "for": draw.choice(["0s", "15s", "30s", "40s", "1m", "2m"]),
        "keep_firing_for": draw.choice(["0s", "0s", "15s", "40s", "90s"]),
        "labels": {"severity": "page", "where": "at {{ $labels.host | toUpper }}"},
        "annotations": {"value": '{{ $value | humanize }} {{ printf "%.3f" $value }}', "raw": "{{ $value }}"},
    }
    series = {}
    names = [f'm{{host="{host}",id="{seed}"}}' for host in "abc"[: draw.randint(1, 3)]] + [f'n{{host="a",id="{seed}"}}']
    for name in names:
        values, level, hole = ["_"], draw.random(), 0
        while len(values) < EVALUATIONS * EVERY_MS // SAMPLE_MS + 2:
            if draw.random() < 0.06:
                level = draw.random()
            if hole == 0 and draw.random() < 0.02:
                hole = draw.choice([3, 10, 50])
                if draw.random() < 0.5:
                    values.append("stale")
            hole = max(0, hole - 1)
            noisy = max(0.0, level + draw.uniform(-0.05, 0.05))
            # Parts of 1,024 add up exactly: the sums of Prometheus 2 are not compensated.
            values.append("_" if hole else repr(round(noisy * 1_024) / 1_024))
        series[name] = values
    return Case(document["name"], document, series)


def samples_of(each: Case) -> MemorySamples:
    samples = MemorySamples()
    for written, values in each.series.items():
        name, _, labels = written.rstrip("}").partition("{")
        pairs = dict(pair.split("=") for pair in labels.replace('"', "").split(","))
        for i, value in enumerate(values):
            if value != "_":
                samples.put(name, i * SAMPLE_MS, STALE if value == "stale" else float(value), **pairs)
    return samples


async def ours(each: Case) -> tuple[Rule, dict[int, list[AlertState]]]:
    """The alerts that are pending or firing after each evaluation."""
    rule, samples = rule_of(ID, 1, ID, each.document), samples_of(each)
    states: Mapping[bytes, AlertState] = {}
    found = {}
    for i in range(EVALUATIONS):
        (result,) = await samples.instant(1, [InstantQuery(rule.query, i * EVERY_MS)])
        states = advance(rule.holds, states, elements_of(rule, result, 1_000, ""), i * EVERY_MS, uuid.uuid4).states
        found[i] = list(states.values())
    return rule, found


def with_state(alert: AlertState) -> str:
    labels = {**alert.labels, "alertstate": alert.state.value}
    return "ALERTS{" + ",".join(f"{name}={json.dumps(value)}" for name, value in labels.items()) + "}"


def unit_test(each: Case, timeline: dict[int, list[AlertState]], rules: Path) -> dict[str, Any]:
    """Our timeline as promtool's expectations: pending and firing by ALERTS, firing ones with their annotations."""
    whole = [
        {
            "expr": f"ALERTS{{alertname={json.dumps(each.name)}}}",
            "eval_time": f"{i * EVERY_MS}ms",
            "exp_samples": [{"labels": with_state(alert), "value": 1} for alert in alerts],
        }
        for i, alerts in timeline.items()
    ]
    firing = [
        {
            "eval_time": f"{i * EVERY_MS}ms",
            "alertname": each.name,
            "exp_alerts": [
                {
                    "exp_labels": {name: text for name, text in alert.labels.items() if name != "alertname"},
                    "exp_annotations": alert.annotations,
                }
                for alert in alerts
                if alert.state is State.FIRING
            ],
        }
        for i, alerts in timeline.items()
    ]
    return {
        "rule_files": [str(rules)],
        "evaluation_interval": f"{EVERY_MS}ms",
        "tests": [
            {
                "interval": f"{SAMPLE_MS}ms",
                "input_series": [{"series": name, "values": " ".join(of)} for name, of in each.series.items()],
                "alert_rule_test": firing,
                "promql_expr_test": whole,
            }
        ],
    }


def rule_file(each: Case) -> dict[str, Any]:
    document = each.document
    rule = {"alert": document["name"], "expr": document["expr"], "for": document["for"]}
    rule |= {name: document[name] for name in ("labels", "annotations")}
    if document["keep_firing_for"] != "0s":
        rule["keep_firing_for"] = document["keep_firing_for"]
    return {"groups": [{"name": "g", "interval": f"{EVERY_MS}ms", "rules": [rule]}]}


def agrees(each: Case, folder: Path) -> tuple[str, int]:
    """What promtool says against our timeline, nothing if it agrees; and how many changes the timeline has."""
    _, timeline = asyncio.run(ours(each))
    rules, test = folder / f"{each.name}-rules.yml", folder / f"{each.name}-test.yml"
    rules.write_text(json.dumps(rule_file(each)))
    test.write_text(json.dumps(unit_test(each, timeline, rules)))
    assert PROMTOOL is not None
    done = subprocess.run([PROMTOOL, "test", "rules", str(test)], capture_output=True, text=True, check=False)
    keys = [sorted(with_state(alert) for alert in alerts) for alerts in timeline.values()]
    changes = sum(before != after for before, after in zip([[], *keys], keys, strict=False))
    return ("" if done.returncode == 0 else done.stdout + done.stderr), changes


@pytest.mark.slow
@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_a_hundred_random_rules_fire_when_prometheus_fires(tmp_path: Path) -> None:
    outcomes = {seed: agrees(case(seed), tmp_path) for seed in range(100)}
    wrong = {seed: text for seed, (text, _) in outcomes.items() if text}
    changes = [count for _, count in outcomes.values()]
    assert wrong == {}
    assert sum(count > 0 for count in changes) > 80
    assert sum(changes) > 500


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_promtool_notices_a_timeline_that_is_wrong(tmp_path: Path) -> None:
    each = next(c for c in map(case, range(100)) if agrees(c, tmp_path)[1] > 4)
    moved = Case(each.name, {**each.document, "for": "3m"}, each.series)
    _, timeline = asyncio.run(ours(moved))
    rules, test = tmp_path / "rules.yml", tmp_path / "test.yml"
    rules.write_text(json.dumps(rule_file(each)))
    test.write_text(json.dumps(unit_test(each, timeline, rules)))
    assert subprocess.run([PROMTOOL, "test", "rules", str(test)], capture_output=True, check=False).returncode
