"""Network policies: every component reaches what it needs, and nothing else does."""

from __future__ import annotations

from typing import Any

import pytest
from tests.charts.rendering import CASES, Manifest, of_kind, parsed, pod_templates, rendered, template

# component -> the components that it connects to, by port. The chart's own traffic, all of it.
TRAFFIC = {
    ("ray-worker", "ray-head", 6379),
    ("ray-worker", "ray-worker", 30000),
    ("ray-head", "ray-worker", 10002),
    ("ray-worker", "postgres", 5432),
    ("ray-worker", "valkey", 6379),
    ("ray-worker", "seaweedfs", 8333),
    ("ray-head", "valkey", 6379),
    ("operator", "postgres", 5432),
    ("operator", "valkey", 6379),
    ("migrate", "postgres", 5432),
    ("test", "ray-worker", 8000),
}
FORBIDDEN = {
    ("ray-head", "postgres", 5432),
    ("migrate", "valkey", 6379),
    ("test", "postgres", 5432),
    ("test", "ray-head", 8265),
    ("operator", "ray-head", 8265),
    ("postgres", "valkey", 6379),
    ("valkey", "operator", 9090),
    ("ray-worker", "operator", 8080),
    ("ray-worker", "seaweedfs", 8888),
    ("ray-head", "seaweedfs", 8333),
    ("operator", "seaweedfs", 8333),
    ("seaweedfs", "postgres", 5432),
}
COMPONENTS = ("ray-head", "ray-worker", "operator", "migrate", "postgres", "valkey", "seaweedfs", "test")


class Policies:
    """The policies of a rendering, asked as a network plug-in would."""

    def __init__(self, manifests: tuple[Manifest, ...]) -> None:
        self._policies = [manifest["spec"] for manifest in of_kind(manifests, "NetworkPolicy").values()]
        self._labels = {
            pod["metadata"]["labels"]["app.kubernetes.io/component"]: pod["metadata"]["labels"]
            for _, pod in pod_templates(manifests)
        }

    def connects(self, source: str, target: str, port: int) -> bool:
        """Whether a pod of one component reaches another's port."""
        return self._allows(source, "Egress", "to", self._labels[target], port) and self._allows(
            target, "Ingress", "from", self._labels[source], port
        )

    def reaches_outside(self, source: str, port: int) -> bool:
        """Whether it reaches any address there is."""
        return any("to" not in rule and _opens(rule, port) for rule in self._rules(source, "Egress"))

    def takes(self, target: str, peer: dict[str, Any], port: int) -> bool:
        """Whether it takes connections of a peer that is written like this."""
        return any(peer in rule.get("from", ()) and _opens(rule, port) for rule in self._rules(target, "Ingress"))

    def limited(self, component: str) -> set[str]:
        """The directions in which it is not open to all."""
        return {
            d for p in self._policies if _matches(p["podSelector"], self._labels[component]) for d in p["policyTypes"]
        }

    def _rules(self, component: str, direction: str) -> list[dict[str, Any]]:
        return [
            rule
            for policy in self._policies
            if _matches(policy["podSelector"], self._labels[component]) and direction in policy["policyTypes"]
            for rule in policy.get(direction.lower(), ())
        ]

    def _allows(self, component: str, direction: str, peers: str, other: dict[str, str], port: int) -> bool:
        return any(
            _opens(rule, port)
            and any(
                "namespaceSelector" not in peer and "ipBlock" not in peer and _matches(peer["podSelector"], other)
                for peer in rule.get(peers, ())
            )
            for rule in self._rules(component, direction)
        )


def _opens(rule: dict[str, Any], port: int) -> bool:
    return "ports" not in rule or any(p["port"] == port for p in rule["ports"])


def _matches(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    return selector.get("matchLabels", {}).items() <= labels.items() and all(
        expression["operator"] == "In" and labels.get(expression["key"]) in expression["values"]
        for expression in selector.get("matchExpressions", ())
    )


@pytest.mark.parametrize("case", ["default", "dev", "gpu", "everything"])
def test_everybody_reaches_what_they_need(case: str) -> None:
    policies = Policies(rendered(case))
    assert {way for way in TRAFFIC if not policies.connects(*way)} == set()


@pytest.mark.parametrize("case", ["default", "dev", "gpu", "everything"])
def test_nobody_reaches_what_they_do_not_need(case: str) -> None:
    policies = Policies(rendered(case))
    assert {way for way in FORBIDDEN if policies.connects(*way)} == set()


@pytest.mark.parametrize("case", CASES)
def test_every_pod_is_limited_in_both_directions(case: str) -> None:
    policies = Policies(rendered(case))
    components = {pod["metadata"]["labels"]["app.kubernetes.io/component"] for _, pod in pod_templates(rendered(case))}
    assert components <= set(COMPONENTS)
    assert {component: policies.limited(component) for component in components} == {
        component: {"Ingress", "Egress"} for component in components
    }


def test_names_can_be_resolved_by_whoever_connects() -> None:
    policies = Policies(rendered("default"))
    resolving = {component for component in COMPONENTS if policies.reaches_outside(component, 53)}
    assert resolving == {"ray-head", "ray-worker", "operator", "migrate", "test"}


def test_the_api_server_is_reached_by_those_alone_who_have_a_token() -> None:
    policies = Policies(rendered("default"))
    assert {c for c in COMPONENTS if policies.reaches_outside(c, 6443)} == {"ray-head", "operator", "test"}
    # Without Ray's autoscaler the head has nothing to ask there.
    assert not Policies(rendered("dev")).reaches_outside("ray-head", 6443)


def test_external_stores_are_reached_where_the_values_say() -> None:
    rules = {
        (component, rule["ports"][0]["port"])
        for component in ("ray-worker", "ray-head", "operator", "migrate")
        for rule in Policies(rendered("production"))._rules(component, "Egress")
        for peer in rule.get("to", ())
        if "ipBlock" in peer
    }
    assert rules == {
        ("ray-worker", 5432), ("ray-worker", 6379), ("ray-head", 6379),
        ("operator", 5432), ("operator", 6379), ("migrate", 5432),
    }  # fmt: skip


def test_callers_are_limited_to_the_gateway_where_it_is_named() -> None:
    gateway = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "gateways"}}}
    everywhere: dict[str, Any] = {"namespaceSelector": {}}
    assert Policies(rendered("default")).takes("ray-worker", everywhere, 8000)
    production = Policies(rendered("production"))
    assert production.takes("ray-worker", gateway, 8000)
    assert not production.takes("ray-worker", everywhere, 8000)
    assert not production.takes("ray-head", gateway, 8000)
    assert not production.takes("ray-worker", gateway, 8265)


@pytest.mark.parametrize("kind", ["LoadBalancer", "NodePort"])
def test_a_service_that_is_open_to_the_world_is_reached_by_it_unless_callers_are_named(kind: str) -> None:
    anybody = [{"ipBlock": {"cidr": cidr}} for cidr in ("0.0.0.0/0", "::/0")]

    def takes(*args: object) -> set[bool]:
        policies = Policies(parsed(template(*args)))
        assert not any(policies.takes(component, peer, 8265) for component in COMPONENTS for peer in anybody)
        return {policies.takes("ray-worker", peer, 8000) for peer in anybody}

    assert takes() == {False}
    assert takes("--set", f"service.type={kind}") == {True}
    named = 'networkPolicy.callers=[{"ipBlock": {"cidr": "10.0.0.0/8"}}]'
    assert takes("--set", f"service.type={kind}", "--set-json", named) == {False}


def test_prometheus_reaches_the_metrics_and_kuberay_the_dashboard() -> None:
    policies = Policies(rendered("everything"))

    def pod(name: str) -> dict[str, Any]:
        return {"namespaceSelector": {}, "podSelector": {"matchLabels": {"app.kubernetes.io/name": name}}}

    for component, port in (("ray-worker", 8000), ("ray-worker", 8080), ("ray-head", 8080), ("operator", 9090)):
        assert policies.takes(component, pod("prometheus"), port)
    assert policies.takes("ray-head", pod("kuberay-operator"), 8265)
    kustomized = pod("kuberay")
    kustomized["podSelector"]["matchLabels"]["app.kubernetes.io/component"] = "kuberay-operator"
    assert policies.takes("ray-head", kustomized, 8265)
    # KubeRay labels Ray's own pods like that.
    assert not policies.takes("ray-head", pod("kuberay"), 8265)
    assert not policies.takes("ray-head", pod("prometheus"), 8265)
    assert not policies.takes("operator", pod("kuberay-operator"), 9090)


def test_policies_can_be_switched_off() -> None:
    assert not of_kind(parsed(template("--set", "networkPolicy.enabled=false")), "NetworkPolicy")
