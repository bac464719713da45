"""Helm renders valid Kubernetes manifests, with any features on."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import kubernetes_validate
import pytest
import yaml
from tests.charts.rendering import (
    CASES,
    CHART,
    NAMESPACE,
    ROOT,
    ChartRefusedError,
    Manifest,
    containers,
    helm,
    of_kind,
    only,
    parsed,
    pod_templates,
    rendered,
    template,
)

# Kinds that the API server has from CRDs: test_cluster_accepts asks it about those.
OF_CRDS = {"RayService", "ServiceMonitor", "PodMonitor", "PrometheusRule", "HTTPRoute"}


@pytest.mark.parametrize("case", CASES)
def test_helm_lint_finds_nothing(case: str) -> None:
    files = [argument for path in CASES[case] for argument in ("--values", str(path))]
    run = subprocess.run([helm(), "lint", "--strict", str(CHART), *files], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "[WARNING]" not in run.stdout


def test_every_object_and_every_pod_is_valid_for_the_newest_kubernetes() -> None:
    newest = kubernetes_validate.latest_version()
    # As text, for most are the same in every case.
    objects: dict[str, Manifest] = {}
    for case in CASES:
        found = [manifest for manifest in rendered(case) if manifest["kind"] not in OF_CRDS]
        found += [{"apiVersion": "v1", "kind": "Pod", **pod} for _, pod in pod_templates(rendered(case))]
        objects |= {json.dumps(manifest): manifest for manifest in found}
    assert len(objects) > 60
    for manifest in objects.values():
        kubernetes_validate.validate(manifest, newest, strict=True)


@pytest.mark.parametrize("case", CASES)
def test_every_object_tells_what_it_belongs_to(case: str) -> None:
    for manifest in rendered(case):
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/part-of"] == "luna"
        assert labels["app.kubernetes.io/instance"] == "luna"
        assert labels["app.kubernetes.io/component"]
        assert labels["helm.sh/chart"].startswith("luna-")


def test_two_releases_in_one_namespace_share_no_name() -> None:
    first, second = rendered("production"), parsed(template("--values", *CASES["production"], release="other"))
    names = [{(m["kind"], m["metadata"]["name"]) for m in manifests} for manifests in (first, second)]
    assert not names[0] & names[1]


def test_two_releases_of_one_name_in_two_namespaces_share_no_cluster_wide_name() -> None:
    other = parsed(template(namespace="elsewhere"))
    for kind in ("ClusterRole", "ClusterRoleBinding"):
        assert not of_kind(rendered("default"), kind).keys() & of_kind(other, kind).keys()


def test_a_long_release_name_leaves_room_for_what_kuberay_appends() -> None:
    manifests = parsed(template(release="a" * 53))
    assert len(only(manifests, "RayService")["metadata"]["name"]) <= 47
    assert all(len(manifest["metadata"]["name"]) <= 63 for manifest in manifests if manifest["kind"] != "ClusterRole")


def test_a_name_that_kuberay_would_refuse_is_refused_with_the_cure() -> None:
    with pytest.raises(ChartRefusedError, match="fullnameOverride"):
        template(release="1st")


@pytest.mark.parametrize("case", CASES)
def test_selectors_find_pods_of_their_own_kind_alone(case: str) -> None:
    manifests = rendered(case)
    labels = {name: pod["metadata"]["labels"] for name, pod in pod_templates(manifests)}
    for kind in ("Deployment", "StatefulSet"):
        for name, manifest in of_kind(manifests, kind).items():
            wanted = manifest["spec"]["selector"]["matchLabels"].items()
            assert [found for found, has in labels.items() if wanted <= has.items()] == [f"{kind}/{name}"]
    for name, service in of_kind(manifests, "Service").items():
        wanted = service["spec"]["selector"].items()
        assert [found for found, has in labels.items() if wanted <= has.items()] == [f"StatefulSet/{name}"]


@pytest.mark.parametrize("case", CASES)
def test_every_volume_that_is_mounted_exists_and_every_one_that_exists_is_mounted(case: str) -> None:
    for name, pod in pod_templates(rendered(case)):
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", ())}
        mounts = [mount for container in containers(pod) for mount in container.get("volumeMounts", ())]
        if name.endswith("/head"):
            mounts += _autoscaler_mounts(case)
        assert {mount["name"] for mount in mounts} == volumes, name


def _autoscaler_mounts(case: str) -> list[dict]:
    cluster = only(rendered(case), "RayService")["spec"]["rayClusterConfig"]
    return cluster.get("autoscalerOptions", {}).get("volumeMounts", [])


def test_the_crds_are_the_repositorys_and_nothing_else() -> None:
    linked = sorted((CHART / "crds").iterdir())
    assert [path.resolve() for path in linked] == sorted((ROOT / "crds").glob("*.yaml"))
    assert all(path.is_symlink() and not path.readlink().is_absolute() for path in linked)
    shown = subprocess.run([helm(), "show", "crds", str(CHART)], capture_output=True, text=True, check=True).stdout
    assert {crd["metadata"]["name"] for crd in yaml.safe_load_all(shown)} == {"accounts.luna.dev", "tiers.luna.dev"}


def test_the_package_of_the_chart_holds_the_crds_themselves(tmp_path: Path) -> None:
    subprocess.run([helm(), "package", str(CHART), "--destination", str(tmp_path)], capture_output=True, check=True)
    [package] = tmp_path.glob("luna-*.tgz")
    listed = subprocess.run(["tar", "tvzf", str(package)], capture_output=True, text=True, check=True).stdout
    crds = [line for line in listed.splitlines() if "/crds/" in line]
    assert len(crds) == 2
    assert all(line.startswith("-") for line in crds)


def test_images_are_named_as_the_values_say() -> None:
    images = {c["image"] for _, pod in pod_templates(rendered("everything")) for c in containers(pod)}
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    registry = "registry.example.com:5000/luna"
    assert images == {
        f"{registry}/luna-serving@sha256:{'0123456789abcdef' * 4}",
        f"{registry}/luna-serving:{version}-gpu",
        f"{registry}/luna-operator:{version}",
        f"{registry}/docker.io/library/postgres:18",
        f"{registry}/docker.io/valkey/valkey:9.1",
        f"{registry}/docker.io/chrislusf/seaweedfs:4.48",
    }


def test_the_chart_has_the_packages_version() -> None:
    version = re.search(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert version
    assert (chart["version"], chart["appVersion"]) == (version[1], version[1])


def notes() -> str:
    run = subprocess.run(
        [helm(), "install", "luna", str(CHART), "--dry-run=client", "--namespace", NAMESPACE],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return run.stdout.partition("NOTES:")[2]


def test_the_commands_of_the_notes_work_as_pasted() -> None:
    """Indented, as helm prints them: kubectl and curl tell what they were given."""
    commands, _, _ = notes().partition("Secrets that this release made")
    pasted = "\n".join(line for line in commands.splitlines() if line.startswith("  ") and "$1" not in line)
    stubs = r"""
        kubectl() { printf '%s ' kubectl "$@"; [ "$*" != "apply -f -" ] || cat; echo; }
        curl() { printf '%s\n' "$@"; }
        read_secret() { echo "the-$1"; }
    """
    run = subprocess.run(["bash", "-euc", f"{stubs}\n{pasted}\nwait"], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")
    _, _, applied = run.stdout.partition("kubectl apply -f - ")
    account = yaml.safe_load(applied.partition("\nkubectl ")[0])
    assert account["kind"] == "Account"
    assert account["metadata"] == {"name": "acme", "namespace": NAMESPACE}
    assert "http://127.0.0.1:8000/api/v1/the-account-id/kalman" in run.stdout
    assert "X-API-Key: the-api-key" in run.stdout


def test_an_upgrade_of_the_crds_takes_them_over_from_helm() -> None:
    # Fields that Helm created are Helm's: without the flag a server-side apply that changes one is a conflict.
    pages = (notes(), (CHART / "README.md").read_text(), (ROOT / "skaffold.yaml").read_text())
    applied = [line for page in pages for line in page.splitlines() if "apply --server-side" in line]
    assert len(applied) == 3
    assert all("--force-conflicts" in line for line in applied)


def test_notes_name_the_next_commands() -> None:
    for words in ("kind: Account", "acme-luna-key", "/api/v1/$LUNA_ACCOUNT_ID/kalman", "helm test", "luna-peppers"):
        assert words in notes()
