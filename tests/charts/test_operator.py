"""The operator's Deployment."""

from __future__ import annotations

from typing import Any

import pytest
from tests.charts.rendering import CASES, environment, of_kind, only, rendered

from luna_operator.settings import Settings


def operator(case: str) -> dict[str, Any]:
    [container] = only(rendered(case), "Deployment")["spec"]["template"]["spec"]["containers"]
    return dict(container)


@pytest.mark.parametrize("case", CASES)
def test_the_operator_takes_every_setting_it_is_given(case: str, monkeypatch: pytest.MonkeyPatch) -> None:
    given = {n: str(v) for n, v in environment(operator(case)).items() if n.startswith("LUNA_OPERATOR_")}
    known = {f"LUNA_OPERATOR_{name.upper()}" for name in Settings.model_fields}
    # Where to listen is the application's own default: everywhere. Traces are off unless the values name a collector.
    absent = {"LUNA_OPERATOR_HOST"} | (set() if case == "everything" else {"LUNA_OPERATOR_TRACE_ENDPOINT"})
    assert given.keys() == known - absent
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert Settings()


def test_it_is_asked_where_it_answers() -> None:
    container = operator("default")
    ports = {port["name"]: str(port["containerPort"]) for port in container["ports"]}
    given = environment(container)
    assert ports == {"health": given["LUNA_OPERATOR_HEALTH_PORT"], "metrics": given["LUNA_OPERATOR_METRICS_PORT"]}
    asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    # Kopf answers liveness on a port of its own (docs/operator.md).
    assert asked["startup"] == asked["liveness"] == {"path": "/healthz", "port": "health"}
    assert asked["readiness"] == {"path": "/readyz", "port": "metrics"}


def test_a_second_replica_stands_by_and_a_drain_leaves_one() -> None:
    assert only(rendered("default"), "Deployment")["spec"]["replicas"] == 2
    assert of_kind(rendered("default"), "PodDisruptionBudget")["luna-operator"]["spec"]["maxUnavailable"] == 1
    # One of one would block every drain.
    assert "luna-operator" not in of_kind(rendered("dev"), "PodDisruptionBudget")


def test_replicas_are_spread_as_the_values_say() -> None:
    def constraints(case: str) -> list[dict[str, Any]]:
        spec = only(rendered(case), "Deployment")["spec"]["template"]["spec"]
        return list(spec.get("topologySpreadConstraints", []))

    assert [c["whenUnsatisfiable"] for c in constraints("default")] == ["ScheduleAnyway"] * 2
    assert [c["whenUnsatisfiable"] for c in constraints("production")] == ["DoNotSchedule"] * 2
    selected = constraints("default")[0]["labelSelector"]["matchLabels"]
    labels = only(rendered("default"), "Deployment")["spec"]["template"]["metadata"]["labels"]
    assert selected.items() <= labels.items()
