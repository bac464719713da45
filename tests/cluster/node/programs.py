"""Programs of a node, beside those of a test cluster's control plane."""

from __future__ import annotations

from pathlib import Path

from tests.cluster.assets import Wanted
from tests.cluster.folders import KUBERNETES_VERSION
from tests.cluster.modules import ModuleFolder, ModuleProgram

_HERE = Path(__file__).parent
_KUBERAY = (
    "github.com/ray-project/kuberay/ray-operator",
    "v1.5.1",
    "h1:7FJYmB8oM+cnjv1VYCj/TfzRZG4XHvvt5Ayn5pZ5A1c=",
)
KUBERAY_VERSION = _KUBERAY[1]

NODE_PROGRAMS = {
    "pause": ("luna.dev/tools/pause", "1"),
    **{
        name: (f"k8s.io/kubernetes/cmd/{name}", KUBERNETES_VERSION)
        for name in ("kubelet", "kube-scheduler", "kube-proxy")
    },
}
MODULES: dict[str, ModuleProgram | ModuleFolder] = {
    "kuberay": ModuleFolder(*_KUBERAY, folders=("config/rbac", "config/manager")),
    "coredns": ModuleProgram(
        "github.com/coredns/coredns",
        "v1.13.1",
        "h1:yhYvf/QVwHNjBK65RkC8d9VW91dP9XKem3BOon4eokg=",
        "./luna",
        _HERE / "coredns" / "main.go",
    ),
    "kuberay-operator": ModuleProgram(*_KUBERAY, package="."),
    # Its firewall enforces network policies with iptables and ipset. kube-network-policies, which kind has, needs
    # queues of nftables, and many kernels of virtual machines lack them.
    "kube-router": ModuleProgram(
        "github.com/cloudnativelabs/kube-router/v2",
        "v2.1.0",
        "h1:xWsptKtmZ44L+NjwFKoFAFlVdxCz8fka9A/eYJe95Ok=",
        "./cmd/kube-router",
    ),
}

NODE = Wanted(NODE_PROGRAMS, MODULES)
