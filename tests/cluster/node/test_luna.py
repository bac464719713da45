"""Claims about `make cluster-up` with KUBECONFIG set, on a cluster whose controllers the test plays.

The chart, the Account and the waits are real; a RayService becomes Ready because the test says so.
"""

import base64
import json
import threading
import time

import pytest
from tests.cluster.cluster import Cluster
from tests.cluster.kubernetes import CommandFailedError, Kubernetes
from tests.cluster.node import __main__ as command
from tests.cluster.node import luna
from tests.cluster.node.layout import Layout


def patch_status(cluster: Kubernetes, kind: str, name: str, status: dict) -> None:
    patch = json.dumps({"status": status})
    where = ("--namespace", luna.NAMESPACE, "--subresource=status", "--type=merge")
    cluster.kubectl("patch", kind, name, *where, "--patch", patch)


def exists(cluster: Kubernetes, kind: str, name: str) -> bool:
    return bool(cluster.kubectl("get", kind, name, "--namespace", luna.NAMESPACE, "-o", "name", "--ignore-not-found"))


def play_controllers(cluster: Kubernetes, failed: list[BaseException]) -> None:
    """Do what KubeRay, the deployment controller and Luna's operator do, once each has something to do."""

    def until(kind: str, name: str) -> dict:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                if exists(cluster, kind, name):
                    return cluster.get(kind, name, "--namespace", luna.NAMESPACE)
            except CommandFailedError:
                pass
            time.sleep(0.2)
        raise TimeoutError(name)

    try:
        generation = until("rayservice", "luna")["metadata"]["generation"]
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "Test",
            "message": "",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        patch_status(cluster, "rayservice", "luna", {"observedGeneration": generation, "conditions": [ready]})
        operator = until("deployment", "luna-operator")
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 1)
        observed = {"observedGeneration": operator["metadata"]["generation"]}
        patch_status(cluster, "deployment", "luna-operator", counts | observed)
        until("account", luna.ACCOUNT)
        data = {"account-id": "7", "api-key": "lk_test"}
        encoded = {name: base64.b64encode(value.encode()).decode() for name, value in data.items()}
        secret = {"metadata": {"name": f"{luna.ACCOUNT}-luna-key", "namespace": luna.NAMESPACE}, "data": encoded}
        cluster.apply({"apiVersion": "v1", "kind": "Secret", **secret})
        patch_status(cluster, "account", luna.ACCOUNT, {"conditions": [ready]})
    except BaseException as error:  # noqa: BLE001 - shown by the test
        failed.append(error)


@pytest.fixture
def no_luna(third_party_crds: Kubernetes):
    yield third_party_crds
    third_party_crds.kubectl("delete", "accounts.luna.dev", "--all", "-n", luna.NAMESPACE, check=False)
    third_party_crds.helm("uninstall", luna.RELEASE, "--namespace", luna.NAMESPACE, check=False)
    third_party_crds.kubectl("delete", "namespace", luna.NAMESPACE, "--ignore-not-found", "--wait=false")


# Helm, and a Deployment that waits: minutes where the machine is busy.
@pytest.mark.slow
def test_on_a_cluster_of_ones_own_the_chart_and_an_account_are_installed_and_the_call_is_printed(
    no_luna, monkeypatch, capsys
):
    monkeypatch.setenv("KUBECONFIG", str(no_luna.kubeconfig))
    failed: list[BaseException] = []
    controllers = threading.Thread(target=play_controllers, args=(no_luna, failed))
    controllers.start()

    assert command.main(["up", "--set", "networkPolicy.enabled=false"]) == 0
    controllers.join()
    assert failed == []

    said = capsys.readouterr().err
    assert "port-forward service/luna-serve 8000" in said
    assert "http://127.0.0.1:8000/api/v1/7/kalman' -H 'X-API-Key: lk_test'" in said
    release = json.loads(no_luna.helm("list", "--namespace", luna.NAMESPACE, "--output", "json"))
    assert [found["name"] for found in release] == ["luna"]
    # The options went on to helm.
    assert no_luna.get("networkpolicies", "--namespace", luna.NAMESPACE)["items"] == []

    assert command.main(["down"]) == 0
    assert json.loads(no_luna.helm("list", "--namespace", luna.NAMESPACE, "--output", "json")) == []
    assert not exists(no_luna, "account", luna.ACCOUNT)


def test_a_cluster_without_kuberay_is_refused_before_anything_is_installed(kubernetes, monkeypatch, capsys, tmp_path):
    with Cluster(tmp_path / "bare", kubernetes.assets) as bare:
        monkeypatch.setenv("KUBECONFIG", str(bare.kubeconfig))
        assert command.main(["up"]) == 1
        assert "no KubeRay" in capsys.readouterr().err
        assert luna.NAMESPACE not in bare.kubectl("get", "namespaces", "-o", "name")


def test_the_kubeconfig_that_cluster_up_prints_means_the_node(monkeypatch, tmp_path):
    layout = Layout(tmp_path)
    monkeypatch.setenv("KUBECONFIG", str(layout.kubeconfig))
    assert command._other_cluster(layout) is None
    monkeypatch.setenv("KUBECONFIG", f"{tmp_path}/kind:{layout.kubeconfig}")
    assert command._other_cluster(layout) == tmp_path / "kind"
    monkeypatch.delenv("KUBECONFIG")
    assert command._other_cluster(layout) is None


def test_without_root_nothing_is_tried(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("KUBECONFIG", raising=False)
    monkeypatch.setenv("LUNA_CLUSTER_ASSETS", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    for verb in ("up", "down"):
        assert command.main([verb]) == 1
        assert f"make cluster-{verb}: The node needs " in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
