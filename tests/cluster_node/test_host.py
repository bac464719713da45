"""The claim that a machine is after a node what it was before."""

import json
import time

import pytest
from tests.cluster.folders import assets_folder
from tests.cluster.node import images, loading, namespaces, node
from tests.cluster.node.layout import HOST_LINK, NODE_NAME, Layout
from tests.cluster.node.podman import Podman
from tests.cluster_node import host

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def pod(image: str) -> str:
    container = {"name": "pause", "image": image, "imagePullPolicy": "Never"}
    spec = {"nodeName": NODE_NAME, "containers": [container], "terminationGracePeriodSeconds": 0}
    return json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pause"}, "spec": spec})


def test_after_a_node_that_ran_a_pod_the_machine_is_as_it_was():
    layout = Layout(assets_folder())
    node.stop(layout)
    built = images.names(layout)
    before = host.snapshot()

    node.start(layout, built.pause)
    inside = namespaces.find(layout)
    assert inside is not None
    loading.load(inside, Podman(layout.images), built)
    cluster = node.kubernetes(layout)
    # The service account's controller makes the account that a pod runs as.
    deadline = time.monotonic() + 30
    while not cluster.kubectl("get", "serviceaccount", "default", "--ignore-not-found"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    cluster.apply(pod(built.pause))
    cluster.kubectl("wait", "pod/pause", "--for=condition=Ready", "--timeout=60s")
    during = host.snapshot()
    # While it runs, the host has one interface more, and the kubelet's settings have been put back.
    assert set(host.differences(before, during)) <= {"interfaces", "routes", "cgroups", "sysctls"}
    changed = host.differences(before, during).get("sysctls", ([], []))
    assert [line for side in changed for line in side if HOST_LINK not in line] == []

    begun = time.monotonic()
    node.stop(layout)
    assert time.monotonic() - begun < 30
    assert host.differences(before, host.snapshot()) == {}
