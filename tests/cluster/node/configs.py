"""Configuration of the node's programs, as text. Paths are those inside the node's mount namespace."""

from __future__ import annotations

import json

from tests.cluster.node.layout import CGROUP, INSIDE, NODE_ADDRESS, NODE_PODS

CONTAINERD_SOCKET = f"{INSIDE}/containerd.sock"


def containerd(pause_image: str) -> str:
    """Return containerd's: runc, cgroups without systemd, nothing outside the node's folder."""
    cri = '[plugins."io.containerd.grpc.v1.cri"'
    return f"""\
version = 2
root = "{INSIDE}/containerd"
state = "/run/containerd"
oom_score = 0

[grpc]
  address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{INSIDE}/opt"

{cri}]
  sandbox_image = "{pause_image}"
  # A nested machine may not lower it.
  restrict_oom_score_adj = true

{cri}.containerd]
  default_runtime_name = "runc"

{cri}.containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

{cri}.containerd.runtimes.runc.options]
  SystemdCgroup = false

{cri}.cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{INSIDE}/cni"
"""


def cni() -> str:
    """Return the pods' network: a bridge without masquerading, for pods reach nothing outside the node."""
    addresses = {
        "type": "host-local",
        "dataDir": f"{INSIDE}/addresses",
        "ranges": [[{"subnet": NODE_PODS}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        # A pod may call its own Service.
        "hairpinMode": True,
        "ipam": addresses,
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "0.4.0", "name": "luna", "plugins": [bridge, ports]}, indent=2)


def kubelet() -> str:
    """Return the kubelet's; as JSON, which is YAML."""
    return json.dumps(
        {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            "address": NODE_ADDRESS,
            "healthzBindAddress": "127.0.0.1",
            "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
            "tlsCertFile": f"{INSIDE}/keys/kubelet.crt",
            "tlsPrivateKeyFile": f"{INSIDE}/keys/kubelet.key",
            "authentication": {
                "anonymous": {"enabled": False},
                "webhook": {"enabled": True},
                "x509": {"clientCAFile": f"{INSIDE}/keys/ca.crt"},
            },
            "authorization": {"mode": "Webhook"},
            "clusterDNS": [NODE_ADDRESS],
            "clusterDomain": "cluster.local",
            "resolvConf": f"{INSIDE}/resolv.conf",
            "podLogsDir": f"{INSIDE}/pod-logs",
            "volumePluginDir": f"{INSIDE}/volume-plugins",
            # Also where the kernel still has cgroups v1, and where the machine swaps.
            "failCgroupV1": False,
            "failSwapOn": False,
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{CGROUP}",
            # Images are loaded, not pulled: one that is removed does not come back.
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            # Of the host, which others fill, too.
            "evictionHard": {"memory.available": "200Mi", "nodefs.available": "3%", "imagefs.available": "3%"},
        },
        indent=2,
    )


def corefile() -> str:
    """Return CoreDNS's: the cluster's names and no others."""
    return f"""\
.:53 {{
  bind {NODE_ADDRESS}
  errors
  health 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa ip6.arpa {{
    kubeconfig {INSIDE}/keys/admin.kubeconfig luna
    pods insecure
    ttl 5
  }}
}}
"""


def kubeconfig(user: str, folder: object) -> str:
    """Return a kubeconfig of `user`, whose certificate and key stand in `folder`."""
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "luna",
                    "cluster": {"server": f"https://{NODE_ADDRESS}:6443", "certificate-authority": f"{folder}/ca.crt"},
                }
            ],
            "users": [
                {
                    "name": user,
                    "user": {"client-certificate": f"{folder}/{user}.crt", "client-key": f"{folder}/{user}.key"},
                }
            ],
            "contexts": [{"name": "luna", "context": {"cluster": "luna", "user": user}}],
            "current-context": "luna",
        },
        indent=2,
    )
