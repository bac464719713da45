"""The examples for Argo CD and Kustomize: what they render is what the chart makes, with their changes."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from tests.charts.rendering import CHART, ROOT, Manifest, is_hook, of_kind, only, parsed, template
from tests.cluster.folders import assets_folder

EXAMPLES = ROOT / "examples" / "gitops"
APPLICATION = EXAMPLES / "argocd" / "application.yaml"
OVERLAY = EXAMPLES / "kustomize"
# Of a schema that kubernetes-validate has not: custom resources.
CUSTOM = frozenset({"RayService", "PodMonitor", "PrometheusRule", "ServiceMonitor", "HTTPRoute", "Account", "Tier"})


def kubectl() -> str:
    """Path of kubectl; fails the test where there is none."""
    bundled = assets_folder() / "kubectl"
    if found := str(bundled) if bundled.is_file() else shutil.which("kubectl"):
        return found
    pytest.fail(f"kubectl is neither in {bundled.parent} nor on PATH: run `make cluster-assets`", pytrace=False)


def valid(manifests: tuple[Manifest, ...]) -> None:
    newest = kubernetes_validate.latest_version()
    for manifest in manifests:
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, newest, strict=True)


@pytest.fixture
def application() -> dict[str, Any]:
    [found] = parsed(APPLICATION.read_text())
    assert (found["apiVersion"], found["kind"]) == ("argoproj.io/v1alpha1", "Application")
    spec: dict[str, Any] = found["spec"]
    return spec


@pytest.fixture
def by_argo(application: dict[str, Any], tmp_path: Path) -> tuple[Manifest, ...]:
    """As Argo CD does it: `helm template` with the files of the chart's folder and then the object."""
    source = application["source"]
    chart = ROOT / source["path"]
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump(source["helm"]["valuesObject"]))
    files = [argument for name in source["helm"]["valueFiles"] for argument in ("--values", chart / name)]
    namespace = application["destination"]["namespace"]
    text = template(
        *files, "--values", values, "--include-crds", release=source["helm"]["releaseName"], namespace=namespace
    )
    return parsed(text)


def test_argo_renders_the_chart_of_this_repository(application: dict[str, Any], by_argo: tuple[Manifest, ...]) -> None:
    assert ROOT / application["source"]["path"] == CHART
    valid(tuple(m for m in by_argo if m["kind"] != "CustomResourceDefinition"))
    assert only(by_argo, "RayService")["metadata"]["name"] == "luna"
    [route] = of_kind(by_argo, "HTTPRoute").values()
    assert route["spec"]["hostnames"] == application["source"]["helm"]["valuesObject"]["httpRoute"]["hostnames"]
    assert {m["metadata"]["name"] for m in by_argo if m["kind"] == "CustomResourceDefinition"} == {
        "accounts.luna.dev",
        "tiers.luna.dev",
    }


def test_two_renderings_of_argo_are_one(by_argo: tuple[Manifest, ...], application: dict[str, Any]) -> None:
    """A generated Secret would be another each time: Argo would never be in sync, and issued keys would die."""
    assert not [m for m in by_argo if m["kind"] == "Secret" and not is_hook(m)]
    assert "ServerSideApply=true" in application["syncPolicy"]["syncOptions"]


def test_argo_migrates_before_it_brings_up_what_needs_the_schema(by_argo: tuple[Manifest, ...]) -> None:
    """It runs pre-upgrade hooks as PreSync, and no `helm test`."""
    [job] = of_kind(by_argo, "Job").values()
    assert is_hook(job, "pre-install")
    assert is_hook(job, "pre-upgrade")
    assert all(is_hook(pod, "test") for pod in of_kind(by_argo, "Pod").values())


@pytest.fixture
def overlaid(tmp_path: Path) -> tuple[tuple[Manifest, ...], tuple[Manifest, ...]]:
    """What helm renders, and what the overlay makes of it."""
    folder = tmp_path / "kustomize"
    shutil.copytree(OVERLAY, folder)
    text = template("--values", CHART / "values-production.yaml", "--skip-tests", namespace="luna")
    (folder / "luna.yaml").write_text(text)
    run = subprocess.run([kubectl(), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    return parsed(text), parsed(run.stdout)


def test_the_overlay_changes_what_it_says_and_no_more(
    overlaid: tuple[tuple[Manifest, ...], tuple[Manifest, ...]],
) -> None:
    before, after = overlaid
    valid(after)
    assert {identity(m) for m in before} == {identity(m) for m in after}
    [group] = only(after, "RayService")["spec"]["rayClusterConfig"]["workerGroupSpecs"]
    assert group["template"]["spec"]["nodeSelector"] == {"node.example.com/pool": "serving"}
    deployment = only(after, "Deployment")
    assert deployment["spec"]["template"]["spec"]["dnsConfig"]["options"] == [{"name": "ndots", "value": "2"}]
    assert deployment["metadata"]["labels"]["example.com/cost-center"] == "forecasting"
    # Selectors cannot be changed, and a label on Ray's pods would roll a new cluster.
    assert "example.com/cost-center" not in str(deployment["spec"]) + str(only(after, "RayService")["spec"])


def test_the_commands_of_the_overlay_name_what_is_there() -> None:
    comment = (OVERLAY / "kustomization.yaml").read_text()
    for path in ("charts/luna/values-production.yaml", "crds/", "examples/gitops/kustomize"):
        assert path in comment
        assert (ROOT / path).exists()


def identity(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]
