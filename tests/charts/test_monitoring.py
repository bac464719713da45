"""Monitors, alerts and dashboards: they scrape what is there, and ask for metrics that exist."""

from __future__ import annotations

import json
import re
from itertools import product
from typing import TYPE_CHECKING, Any

import promql_parser as promql
import pytest
from tests.charts.rendering import CHART, ROOT, containers, of_kind, only, parsed, pod_templates, rendered, template

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENTED = set(re.findall(r"^\| `(\w+)`", (ROOT / "docs" / "exported-metrics.md").read_text(), re.MULTILINE))
# "The `process_` and `python_` metrics of prometheus-client", as that page says.
OF_THE_CLIENT = {f"process_{name}" for name in ("resident_memory_bytes", "cpu_seconds_total", "open_fds")}
OF_THE_CLIENT |= {"process_start_time_seconds"}
HISTOGRAMS = ("_bucket", "_sum", "_count")


def rules() -> list[dict[str, Any]]:
    groups = only(rendered("everything"), "PrometheusRule")["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboards() -> dict[str, dict[str, Any]]:
    return {path.name: json.loads(path.read_text()) for path in (CHART / "dashboards").glob("*.json")}


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for name, dashboard in dashboards().items():
        for panel in dashboard["panels"]:
            for i, target in enumerate(panel.get("targets", ())):
                # Grafana fills these in; the parser wants a duration.
                text = target["expr"].replace("$__rate_interval", "5m")
                yield f"{name}: {panel['title']} {i}", text


def selectors(node: Any) -> Iterator[Any]:
    """Every metric that an expression names."""
    match node:
        case promql.VectorSelector():
            yield node
        case promql.MatrixSelector():
            yield node.vector_selector
        case promql.BinaryExpr():
            yield from selectors(node.lhs)
            yield from selectors(node.rhs)
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            yield from selectors(node.expr)
        case promql.Call():
            for argument in node.args:
                yield from selectors(argument)
        case promql.NumberLiteral() | promql.StringLiteral():
            return
        case _:
            raise AssertionError(f"{type(node)} is new: which metrics does it name?")


ALL = dict(expressions())


@pytest.mark.parametrize("where", ALL)
def test_an_expression_is_promql_over_documented_metrics_of_this_namespace(where: str) -> None:
    found = list(selectors(promql.parse(ALL[where])))
    assert found
    for selector in found:
        name = selector.name
        histogram = next((name.removesuffix(end) for end in HISTOGRAMS if name.endswith(end)), name)
        assert {name, histogram} & DOCUMENTED or name in OF_THE_CLIENT, f"{where} asks for {name}"
        matchers = {matcher.name: matcher.value for matcher in selector.matchers.matchers}
        assert matchers["namespace"] in {"models", "$namespace"}


@pytest.mark.parametrize("where", ALL)
def test_serving_is_counted_once_though_every_worker_shows_all_of_it(where: str) -> None:
    """Each worker exposes a sum over all replicas: `sum` without `max` would be N times too large."""

    def unmerged(node: Any, *, merged: bool) -> Iterator[str]:
        match node:
            case promql.AggregateExpr():
                yield from unmerged(node.expr, merged=merged or str(node.op) == "max")
            case promql.BinaryExpr():
                yield from unmerged(node.lhs, merged=merged)
                yield from unmerged(node.rhs, merged=merged)
            case promql.ParenExpr():
                yield from unmerged(node.expr, merged=merged)
            case promql.Call():
                # Absence does not depend on how many workers expose it.
                for argument in node.args:
                    yield from unmerged(argument, merged=merged or node.func.name == "absent")
            case promql.VectorSelector() | promql.MatrixSelector():
                yield from (s.name for s in selectors(node) if not merged and not of_the_operator(s.name))

    assert list(unmerged(promql.parse(ALL[where]), merged=False)) == []


def of_the_operator(metric: str) -> bool:
    return metric.startswith(("luna_operator_", "luna_settlement_"))


def test_every_documented_metric_is_shown_or_watched() -> None:
    named = {selector.name for text in ALL.values() for selector in selectors(promql.parse(text))}
    named |= {name.removesuffix(end) for name in named for end in HISTOGRAMS}
    assert DOCUMENTED - named == set(), "put it into a dashboard or an alert of charts/luna"


def test_every_alert_says_what_it_means_and_what_to_do() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert rule["annotations"].keys() == {"summary", "description", "runbook"}
        assert len(rule["annotations"]["runbook"]) > 20
        assert re.fullmatch(r"Luna[A-Za-z]+", rule["alert"])
        assert "@" not in json.dumps(rule), f"{rule['alert']} still has a placeholder"


def test_the_runbooks_name_values_that_exist() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    text = json.dumps(rules())
    for path in set(re.findall(r"\b(?:serving|operator|networkPolicy|monitoring)\.[a-zA-Z_.]+[a-zA-Z]", text)):
        node = schema
        for name in path.split("."):
            while "$ref" in node:
                node = schema["definitions"][node["$ref"].rpartition("/")[2]]
            assert name in node["properties"], f"{path} is no value"
            node = node["properties"][name]


def test_thresholds_come_from_the_values() -> None:
    set_ = "monitoring.rules.enabled=true,monitoring.rules.sloPercent=99,monitoring.rules.settlementSeconds=60"
    text = json.dumps(only(parsed(template("--set", set_)), "PrometheusRule"))
    assert "14.4 * 0.010000" in text
    assert "> 60" in text
    assert "14.4 * 0.001000" in json.dumps(rules())


def test_monitors_scrape_ports_that_exist() -> None:
    manifests = rendered("everything")
    pods = dict(pod_templates(manifests))
    for monitor in of_kind(manifests, "PodMonitor").values():
        chosen = [p for p in pods.values() if chosen_by(monitor["spec"]["selector"], p["metadata"]["labels"])]
        assert chosen, monitor["metadata"]["name"]
        for endpoint in monitor["spec"]["podMetricsEndpoints"]:
            for pod in chosen:
                assert endpoint["port"] in {p["name"] for c in containers(pod) for p in c.get("ports", ())}
    service = only(manifests, "RayService")["spec"]["serveService"]["metadata"]
    monitor = only(manifests, "ServiceMonitor")
    assert chosen_by(monitor["spec"]["selector"], service["labels"])
    assert [endpoint["port"] for endpoint in monitor["spec"]["endpoints"]] == ["serve"]
    # Nothing else may carry these labels: it would be scraped as well.
    services = of_kind(manifests, "Service").values()
    assert not any(chosen_by(monitor["spec"]["selector"], s["metadata"]["labels"]) for s in services)


def chosen_by(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        labels.get(expression["key"]) in expression["values"] for expression in selector.get("matchExpressions", ())
    )


@pytest.mark.parametrize("name", dashboards())
def test_a_dashboard_can_be_read(name: str) -> None:
    dashboard = dashboards()[name]
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert {variable["name"] for variable in dashboard["templating"]["list"]} == {"datasource", "namespace"}
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        x, y, width, height = (panel["gridPos"][side] for side in "xywh")
        assert x + width <= 24
        cells = set(product(range(x, x + width), range(y, y + height)))
        assert not cells & taken, f"{panel['title']} lies over another panel"
        taken |= cells


def test_grafanas_sidecar_finds_every_dashboard() -> None:
    maps = [m for n, m in of_kind(rendered("everything"), "ConfigMap").items() if "-dashboard-" in n]
    assert all(m["metadata"]["labels"]["grafana_dashboard"] == "1" for m in maps)
    shipped = {name: json.loads(text) for m in maps for name, text in m["data"].items()}
    assert shipped == {f"luna-{name}": dashboard for name, dashboard in dashboards().items()}
