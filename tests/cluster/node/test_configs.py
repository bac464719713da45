"""Claims about the node's configuration: it is valid, and nothing in it names a path outside the node's folder."""

import ipaddress
import json
import re
import tomllib

import pytest
import yaml
from tests.cluster.node import configs, kuberay, values
from tests.cluster.node.images import ROOT, Images
from tests.cluster.node.layout import INSIDE, NODE_ADDRESS, NODE_PODS, POD_NETWORK

IMAGES = Images(**{name: f"localhost/{name}:c0123456789ab" for name in Images.__dataclass_fields__})


def strings(found: object) -> list[str]:
    if isinstance(found, dict):
        return [text for value in found.values() for text in strings(value)]
    if isinstance(found, list):
        return [text for value in found for text in strings(value)]
    return [found] if isinstance(found, str) else []


@pytest.mark.parametrize(
    "config",
    [
        tomllib.loads(configs.containerd("localhost/pause:c1")),
        json.loads(configs.kubelet()),
        json.loads(configs.cni()),
        json.loads(configs.kubeconfig("node", INSIDE / "keys")),
    ],
    ids=["containerd", "kubelet", "cni", "kubeconfig"],
)
def test_files_stand_in_the_nodes_folder(config):
    paths = [text for text in strings(config) if re.match(r"/[a-z]", text)]
    # Programs of Debian's package, a folder that the node covers, the name of a cgroup.
    allowed = ("/usr/lib/cni", "/run/containerd", "/luna-node")
    assert [path for path in paths if path not in allowed and not path.startswith(f"{INSIDE}/")] == []


def test_containerd_and_the_kubelet_meet_at_one_socket():
    containerd = tomllib.loads(configs.containerd("localhost/pause:c1"))
    kubelet = json.loads(configs.kubelet())
    assert kubelet["containerRuntimeEndpoint"] == f"unix://{containerd['grpc']['address']}"
    assert containerd["plugins"]["io.containerd.grpc.v1.cri"]["sandbox_image"] == "localhost/pause:c1"


def test_pods_ask_the_server_that_the_corefile_binds():
    assert json.loads(configs.kubelet())["clusterDNS"] == [NODE_ADDRESS]
    assert f"bind {NODE_ADDRESS}\n" in configs.corefile()


def test_pods_get_addresses_of_the_network_that_kube_proxy_takes_for_theirs():
    assert ipaddress.ip_network(NODE_PODS).subnet_of(ipaddress.ip_network(POD_NETWORK))
    [bridge] = [plugin for plugin in json.loads(configs.cni())["plugins"] if plugin["type"] == "bridge"]
    assert bridge["ipam"]["ranges"] == [[{"subnet": NODE_PODS}]]


def test_kuberays_pod_has_the_label_that_lunas_network_policies_let_in():
    labels = yaml.safe_load(kuberay.kustomization(IMAGES.kuberay))["labels"]
    chart = yaml.safe_load((ROOT / "charts" / "luna" / "values.yaml").read_text())
    peers = chart["networkPolicy"]["kuberay"]
    assert any(each["podSelector"]["matchLabels"].items() <= labels[0]["pairs"].items() for each in peers)
    assert labels[0]["includeSelectors"]


def test_the_chart_gets_every_image_of_the_node_and_pulls_none():
    images = values.for_the_node(IMAGES)["images"]
    assert images["serving"] == {"repository": "localhost/serving", "tag": "c0123456789ab", "pullPolicy": "Never"}
    run = {f"{image['repository']}:{image['tag']}" for image in images.values()}
    assert run == set(IMAGES.run_by_the_node) - {IMAGES.pause, IMAGES.kuberay}
