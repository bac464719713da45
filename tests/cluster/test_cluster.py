"""Claims about the run's Kubernetes: that it is a real one, and that a second one does not touch it."""

import json
import time
from collections.abc import Callable

import pytest
from tests.cluster.cluster import Cluster
from tests.cluster.kubernetes import CommandFailedError, Kubernetes


def eventually(claim: Callable[[], bool], within_s: float = 30.0) -> bool:
    deadline = time.monotonic() + within_s
    while not claim():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def config_map(name: str, **metadata: object) -> dict:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, **metadata}}


def test_what_a_deleted_object_owned_is_collected(kubernetes: Kubernetes, namespace: str):
    kubernetes.apply(config_map("owner", namespace=namespace))
    uid = kubernetes.get("configmap", "owner", "-n", namespace)["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": uid}
    kubernetes.apply(config_map("owned", namespace=namespace, ownerReferences=[owner]))
    kubernetes.apply(config_map("free", namespace=namespace))

    kubernetes.kubectl("delete", "configmap", "owner", "-n", namespace)

    def names() -> str:
        return kubernetes.kubectl("get", "configmaps", "-n", namespace, "-o", "name")

    assert eventually(lambda: "configmap/owned" not in names())
    assert "configmap/free" in names()


def account(name: str, **metadata: object) -> dict:
    return {"apiVersion": "luna.dev/v1", "kind": "Account", "metadata": {"name": name, **metadata}}


def test_the_collector_knows_lunas_kinds(luna_cluster: Kubernetes, namespace: str):
    luna_cluster.apply(account("acme", namespace=namespace))
    uid = luna_cluster.get("account", "acme", "-n", namespace)["metadata"]["uid"]
    owner = {"apiVersion": "luna.dev/v1", "kind": "Account", "name": "acme", "uid": uid}
    luna_cluster.apply(config_map("owned", namespace=namespace, ownerReferences=[owner]))

    luna_cluster.kubectl("delete", "account", "acme", "-n", namespace)

    def owned() -> str:
        return luna_cluster.kubectl("get", "configmap", "owned", "-n", namespace, "--ignore-not-found")

    # Ours got the CRDs before its collector, which looks for new kinds every 30 s: a developer's has to wait for that.
    assert eventually(lambda: owned() == "", within_s=10.0 if isinstance(luna_cluster, Cluster) else 120.0)


def test_a_test_leaves_no_accounts_even_those_that_a_finalizer_holds(luna_cluster: Kubernetes):
    with luna_cluster.namespace() as name:
        luna_cluster.apply(account("held", namespace=name, finalizers=["luna.dev/account"]))
        luna_cluster.apply(account("free", namespace=name))
    assert (
        luna_cluster.get("accounts", "--all-namespaces", f"--field-selector=metadata.namespace={name}")["items"] == []
    )


def test_a_service_account_may_do_what_its_role_says_and_nothing_else(kubernetes: Kubernetes, namespace: str):
    here = ("-n", namespace)
    kubernetes.kubectl("create", "serviceaccount", "reader", *here)
    kubernetes.kubectl("create", "role", "reader", "--verb=get", "--resource=configmaps", *here)
    kubernetes.kubectl(
        "create", "rolebinding", "reader", "--role=reader", f"--serviceaccount={namespace}:reader", *here
    )
    kubernetes.apply(config_map("shown", namespace=namespace))
    as_reader = ("--kubeconfig", kubernetes.service_account_kubeconfig(namespace, "reader"))

    assert kubernetes.kubectl("get", "configmap", "shown", "-o", "name", *here, *as_reader).strip() == "configmap/shown"
    with pytest.raises(CommandFailedError, match=r'reader" cannot list resource "secrets"'):
        kubernetes.kubectl("get", "secrets", *here, *as_reader)


def test_a_caller_without_a_token_reads_nothing(kubernetes: Kubernetes, namespace: str):
    refused = kubernetes.kubectl("get", "configmaps", "-n", namespace, "--token=unknown", check=False)
    assert "Unauthorized" in refused or "must be logged in" in refused


def test_a_second_cluster_beside_it_knows_nothing_of_it(kubernetes: Kubernetes, namespace: str, tmp_path):
    with Cluster(tmp_path / "second", kubernetes.assets) as second:
        assert second.url != kubernetes.url
        assert namespace not in second.kubectl("get", "namespaces", "-o", "name")
        pids = second.pids()
        assert json.loads(second.kubectl("get", "--raw", "/version"))["gitVersion"].startswith("v1.")
    assert namespace in kubernetes.kubectl("get", "namespaces", "-o", "name")
    assert pids.keys() == {"etcd", "kube-apiserver", "kube-controller-manager"}
    assert second.pids() == {}
    assert not (tmp_path / "second" / "etcd").exists()


def test_a_server_that_cannot_start_shows_the_end_of_its_log(kubernetes: Kubernetes, tmp_path):
    folder = tmp_path / "broken"
    (folder / "etcd").mkdir(parents=True)
    (folder / "etcd" / "member").write_text("not a folder")
    with pytest.raises(RuntimeError, match=r"etcd ended at its start(.|\n)*member") as refused:
        Cluster(folder, kubernetes.assets).start()
    assert str(folder / "etcd.log") in str(refused.value)
