"""The chart on a real API server, with the kinds of KubeRay, the Prometheus operator and the Gateway API.

No node runs there: pods stay Pending, and helm is told not to wait and to leave hooks out.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from tests.charts.rendering import CASES, CHART, RELEASE, Manifest, only, parsed, pod_templates, rendered, template
from tests.charts.test_security import RIGHTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.kubernetes import Kubernetes


# Those whose schemas come from CRDs, and such as have long specs.
KINDS = ("RayService", "PrometheusRule", "PodMonitor", "ServiceMonitor", "HTTPRoute", "NetworkPolicy", "Deployment")


@pytest.fixture(scope="module")
def cluster(luna_cluster: Kubernetes, third_party_crds: Kubernetes) -> Kubernetes:
    assert luna_cluster is third_party_crds
    return luna_cluster


@contextmanager
def cluster_wide_objects_removed(cluster: Kubernetes, namespace: str) -> Iterator[None]:
    """A namespace takes its objects along; what the chart makes outside of it is named after it."""
    try:
        yield
    finally:
        name = f"{namespace}-{RELEASE}-operator"
        cluster.kubectl("delete", "clusterrole,clusterrolebinding", name, "--ignore-not-found")


@pytest.mark.parametrize("case", CASES)
def test_the_api_server_takes_every_object_and_drops_no_field(cluster: Kubernetes, namespace: str, case: str) -> None:
    files = [argument for path in CASES[case] for argument in ("--values", path)]
    text = template(*files, namespace=namespace)
    manifests = parsed(text)
    fullname = only(manifests, "RayService")["metadata"]["name"]
    try:
        # `helm template` sends no namespace. Strict: an unknown field is an error.
        cluster.kubectl("apply", "--server-side", "--validate=strict", "--namespace", namespace, "-f", "-", input=text)
        kept = {identity(m): m for m in cluster.get(",".join(KINDS), "--namespace", namespace)["items"]}
        for sent in manifests:
            if sent["kind"] in KINDS:
                assert list(lost(sent["spec"], kept[identity(sent)]["spec"], sent["kind"])) == []
    finally:
        name = f"{namespace}-{fullname}-operator"
        cluster.kubectl("delete", "clusterrole,clusterrolebinding", name, "--ignore-not-found")


def identity(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def lost(sent: Any, kept: Any, path: str) -> Iterator[str]:
    """What the API server did not keep as it was sent."""
    match sent:
        case dict():
            for name, value in sent.items():
                # An empty value is often dropped, and says nothing.
                if value not in ({}, [], None):
                    yield from lost(value, (kept or {}).get(name), f"{path}.{name}")
        case list():
            for index, value in enumerate(sent):
                yield from lost(value, kept[index] if kept and index < len(kept) else None, f"{path}[{index}]")
        case _:
            # Quantities and numbers come back in their own words.
            if kept is None or (isinstance(sent, (str, bool)) and str(sent) != str(kept)):
                yield f"{path}: {sent!r} became {kept!r}"


@pytest.mark.parametrize("case", ["default", "production", "everything"])
def test_a_namespace_that_enforces_the_restricted_standard_takes_every_pod(
    cluster: Kubernetes, namespace: str, case: str
) -> None:
    cluster.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    pods = []
    for number, (_, template_) in enumerate(pod_templates(rendered(case))):
        # What is named must exist, and is not what this is about.
        named = {"serviceAccountName", "priorityClassName", "runtimeClassName"}
        spec = {field: value for field, value in template_["spec"].items() if field not in named}
        pods.append({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": f"pod-{number}"}, "spec": spec})
    text = "\n---\n".join(json.dumps(pod) for pod in pods)
    said = cluster.kubectl("create", "--dry-run=server", "--namespace", namespace, "-f", "-", input=text)
    assert said.count("created") == len(pods) > 5


def secrets(cluster: Kubernetes, namespace: str) -> dict[str, Any]:
    found = cluster.get("secrets", "--namespace", namespace, "--selector", "app.kubernetes.io/component=secrets")
    return {secret["metadata"]["name"]: secret["data"] for secret in found["items"]}


def test_secrets_survive_upgrades_and_an_uninstall(cluster: Kubernetes, namespace: str) -> None:
    where = ("--namespace", namespace)
    chart = (RELEASE, CHART, "--no-hooks", "--skip-crds", *where)
    with cluster_wide_objects_removed(cluster, namespace):
        cluster.helm("install", *chart)
        first = secrets(cluster, namespace)
        assert first.keys() == {"luna-peppers", "luna-database", "luna-redis", "luna-objects"}
        rotated = {"data": {"LUNA_PEPPERS": "cDI6bmV3ZXJuZXdlcm5ld2VybmV3ZXI="}}
        cluster.kubectl("patch", "secret", "luna-peppers", *where, "--type=merge", "--patch", json.dumps(rotated))
        first["luna-peppers"] = rotated["data"]
        cluster.helm("upgrade", *chart, "--values", CHART / "values-dev.yaml")
        assert secrets(cluster, namespace) == first
        cluster.helm("uninstall", RELEASE, "--no-hooks", *where)
        assert secrets(cluster, namespace) == first
        cluster.helm("install", *chart)
        assert secrets(cluster, namespace) == first
        cluster.helm("uninstall", RELEASE, "--no-hooks", *where)


def test_an_upgrade_with_nothing_new_changes_nothing(cluster: Kubernetes, namespace: str) -> None:
    """Least of all the RayService, for which any change of its pods is a new Ray cluster."""
    where = ("--namespace", namespace)
    chart = (RELEASE, CHART, "--no-hooks", "--skip-crds", *where)

    def generations() -> dict[str, int]:
        kinds = "rayservice,deployment,statefulset,job,networkpolicy"
        items = cluster.get(kinds, *where)["items"]
        return {f"{item['kind']}/{item['metadata']['name']}": item["metadata"]["generation"] for item in items}

    with cluster_wide_objects_removed(cluster, namespace):
        cluster.helm("install", *chart)
        before = generations()
        cluster.helm("upgrade", *chart)
        assert generations() == before
        assert "RayService/luna" in before
        cluster.helm("uninstall", RELEASE, "--no-hooks", *where)


def test_the_operators_account_may_do_its_work_and_nothing_else(cluster: Kubernetes, namespace: str) -> None:
    verbs = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
    forbidden = {(group, resource, verb) for group, resource, _ in RIGHTS for verb in verbs} - RIGHTS
    # What an operator that somebody took over would try next.
    forbidden |= {
        ("", "pods", "create"), ("", "pods/exec", "create"), ("", "configmaps", "get"), ("", "namespaces", "list"),
        ("", "serviceaccounts/token", "create"), ("apps", "deployments", "patch"), ("ray.io", "rayservices", "patch"),
        ("apiextensions.k8s.io", "customresourcedefinitions", "list"), ("coordination.k8s.io", "leases", "get"),
        ("rbac.authorization.k8s.io", "clusterroles", "escalate"), ("", "users", "impersonate"),
    }  # fmt: skip
    with cluster_wide_objects_removed(cluster, namespace):
        account = [m for m in parsed(template(namespace=namespace)) if m["metadata"]["name"].endswith("luna-operator")]
        wanted = [m for m in account if m["kind"] in {"ServiceAccount", "ClusterRole", "ClusterRoleBinding"}]
        for manifest in wanted:
            cluster.kubectl("apply", "--server-side", "--namespace", namespace, "-f", "-", input=json.dumps(manifest))
        user = f"system:serviceaccount:{namespace}:luna-operator"
        # In a namespace of a team, not in its own.
        asked = dict.fromkeys(RIGHTS, True) | dict.fromkeys(forbidden, False)
        assert answers(cluster, user, "kube-public", list(asked)) == asked


def answers(cluster: Kubernetes, user: str, namespace: str, asked: list[tuple[str, str, str]]) -> dict[Any, bool]:
    """What the API server says to a SubjectAccessReview for each group, resource and verb."""
    reviews = []
    for group, resource, verb in asked:
        kind, _, subresource = resource.partition("/")
        attributes = {
            "group": group,
            "resource": kind,
            "subresource": subresource,
            "verb": verb,
            "namespace": namespace,
        }
        spec = {"user": user, "resourceAttributes": attributes}
        reviews.append({"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview", "spec": spec})
    text = "\n---\n".join(json.dumps(review) for review in reviews)
    said = cluster.kubectl("create", "-f", "-", "-o", "jsonpath={.status.allowed}{'\\n'}", input=text).split()
    return {question: answer == "true" for question, answer in zip(asked, said, strict=True)}
