"""The node itself, from nothing to Ready in 10 to 20 s: keys, configuration, processes in their order."""

from __future__ import annotations

import shutil
from functools import partial

from tests.cluster.credentials import Authority, Credentials, issue_credentials
from tests.cluster.kubernetes import CommandFailedError, Kubernetes, write_private
from tests.cluster.node import configs, namespaces, sysctls, volumes
from tests.cluster.node.layout import (
    API_SERVICE_ADDRESS,
    INSIDE,
    NODE_ADDRESS,
    NODE_NAME,
    POD_NETWORK,
    SERVICE_NETWORK,
    Layout,
)
from tests.cluster.node.processes import Processes

# User, group: the file's name is that of the program that uses it.
_USERS = {
    "admin": ("luna-admin", "system:masters"),
    "node": (f"system:node:{NODE_NAME}", "system:nodes"),
    "scheduler": ("system:kube-scheduler", ""),
    "manager": ("system:kube-controller-manager", ""),
    "proxy": ("system:kube-proxy", ""),
}
_API_HOSTS = (
    NODE_ADDRESS,
    API_SERVICE_ADDRESS,
    "127.0.0.1",
    "localhost",
    "kubernetes",
    "kubernetes.default",
    "kubernetes.default.svc",
    "kubernetes.default.svc.cluster.local",
)
_DATA = ("etcd", "kubelet", "addresses", "volumes")
# Of a node that ran before. containerd's images stay: loading them takes longer than all else.
_OF_ONE_RUN = (*_DATA, "pod-logs", "keys", "cni", "logs/node")
_ETCD = "http://127.0.0.1:2379"


def kubernetes(layout: Layout) -> Kubernetes:
    """Return the node's cluster, as this machine reaches it."""
    return Kubernetes(layout.kubeconfig, layout.assets, layout.folder)


def start(layout: Layout, pause_image: str) -> None:
    """Start a node and wait until it is Ready.

    Raises:
        NodeError: a part does not come up.
    """
    stop(layout)
    keys = _write_files(layout, pause_image)
    sysctls.save(layout.saved_sysctls)
    try:
        inside = namespaces.make(layout)
        processes = Processes(inside, layout.logs / "node")
        _control_plane(layout, processes, keys)
        _workers(layout, processes)
        cluster = kubernetes(layout)
        processes.wait("The node", partial(_is_ready, cluster))
        volumes.provide(layout, cluster)
    finally:
        # The kubelet sets them once, before it registers the node.
        sysctls.restore(layout.saved_sysctls)
    layout.finished.touch()


def is_running(layout: Layout) -> bool:
    """Whether a node that once was Ready still is."""
    return layout.finished.exists() and namespaces.find(layout) is not None and _is_ready(kubernetes(layout))


def stop(layout: Layout) -> None:
    """End the node and put the host back as it was; keep its images and its last logs.

    Raises:
        NodeError: something of it stays.
    """
    layout.finished.unlink(missing_ok=True)
    namespaces.remove(layout)
    sysctls.restore(layout.saved_sysctls)
    for name in _DATA:
        shutil.rmtree(layout.folder / name, ignore_errors=True)


def _is_ready(cluster: Kubernetes) -> bool:
    ready = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
    return cluster.kubectl("get", "node", NODE_NAME, "-o", ready, "--request-timeout=5s", check=False) == "True"


def _write_files(layout: Layout, pause_image: str) -> Credentials:
    for name in _OF_ONE_RUN:
        shutil.rmtree(layout.folder / name, ignore_errors=True)
    keys = layout.folder / "keys"
    for folder in (keys, layout.folder / "cni", layout.logs / "node", layout.folder / "etcd"):
        folder.mkdir(parents=True)
    # The keys of a cluster that only this machine reaches, and only its root may change.
    keys.chmod(0o700)
    (layout.folder / "etcd").chmod(0o700)
    authority = Authority("luna-node-ca")
    credentials = issue_credentials(authority, keys, _API_HOSTS)
    authority.issue(keys / "kubelet.crt", keys / "kubelet.key", NODE_NAME, hosts=(NODE_NAME, NODE_ADDRESS))
    for name, (user, group) in _USERS.items():
        authority.issue(keys / f"{name}.crt", keys / f"{name}.key", user, group=group)
        write_private(keys / f"{name}.kubeconfig", configs.kubeconfig(name, INSIDE / "keys"))
    write_private(layout.kubeconfig, configs.kubeconfig("admin", keys))
    (layout.folder / "containerd.toml").write_text(configs.containerd(pause_image))
    (layout.folder / "cni" / "10-luna.conflist").write_text(configs.cni())
    (layout.folder / "kubelet.json").write_text(configs.kubelet())
    (layout.folder / "Corefile").write_text(configs.corefile())
    (layout.folder / "resolv.conf").write_text("")
    return credentials


def _control_plane(layout: Layout, processes: Processes, keys: Credentials) -> None:
    processes.start(
        "etcd",
        layout.assets / "etcd",
        f"--data-dir={INSIDE}/etcd",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        "--listen-peer-urls=http://127.0.0.1:0",
        # The data are worth nothing after a crash.
        "--unsafe-no-fsync",
        "--log-level=warn",
    )
    processes.start("containerd", "containerd", f"--config={INSIDE}/containerd.toml")
    inside = INSIDE / "keys"
    processes.start(
        "kube-apiserver",
        layout.assets / "kube-apiserver",
        f"--etcd-servers={_ETCD}",
        "--bind-address=0.0.0.0",
        f"--advertise-address={NODE_ADDRESS}",
        "--secure-port=6443",
        f"--tls-cert-file={inside / keys.server_certificate.name}",
        f"--tls-private-key-file={inside / keys.server_key.name}",
        f"--client-ca-file={inside / keys.ca.name}",
        f"--kubelet-client-certificate={inside}/admin.crt",
        f"--kubelet-client-key={inside}/admin.key",
        "--kubelet-preferred-address-types=InternalIP",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-signing-key-file={inside / keys.tokens_key.name}",
        f"--service-account-key-file={inside / keys.tokens_public_key.name}",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--profiling=false",
    )
    cluster = kubernetes(layout)
    ready = partial(cluster.kubectl, "get", "--raw", "/readyz", "--request-timeout=5s", check=False)
    processes.wait("The API server", lambda: ready() == "ok")
    processes.start(
        "kube-controller-manager",
        layout.assets / "kube-controller-manager",
        f"--kubeconfig={inside}/manager.kubeconfig",
        f"--root-ca-file={inside / keys.ca.name}",
        f"--service-account-private-key-file={inside / keys.tokens_key.name}",
        "--use-service-account-credentials=true",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--profiling=false",
    )
    processes.start(
        "kube-scheduler",
        layout.programs / "kube-scheduler",
        f"--kubeconfig={inside}/scheduler.kubeconfig",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        "--profiling=false",
    )


def _workers(layout: Layout, processes: Processes) -> None:
    processes.start(
        "kube-proxy",
        layout.programs / "kube-proxy",
        f"--kubeconfig={INSIDE}/keys/proxy.kubeconfig",
        f"--hostname-override={NODE_NAME}",
        "--proxy-mode=iptables",
        f"--cluster-cidr={POD_NETWORK}",
        # These settings are the whole machine's.
        "--conntrack-max-per-core=0",
        "--conntrack-tcp-timeout-established=0",
        "--conntrack-tcp-timeout-close-wait=0",
        "--iptables-localhost-nodeports=false",
        "--healthz-bind-address=127.0.0.1:10256",
        "--metrics-bind-address=127.0.0.1:10249",
    )
    processes.start(
        "kubelet",
        layout.programs / "kubelet",
        f"--config={INSIDE}/kubelet.json",
        f"--kubeconfig={INSIDE}/keys/node.kubeconfig",
        f"--hostname-override={NODE_NAME}",
        f"--node-ip={NODE_ADDRESS}",
        f"--root-dir={INSIDE}/kubelet",
    )
    processes.start("coredns", layout.programs / "coredns", "-conf", f"{INSIDE}/Corefile")
    cluster = kubernetes(layout)

    def registered() -> bool:
        try:
            return bool(cluster.kubectl("get", "node", NODE_NAME, "-o", "name"))
        except CommandFailedError:
            return False

    processes.wait("The kubelet", registered)
    # It ends at once where its node does not exist.
    processes.start(
        "kube-router",
        layout.programs / "kube-router",
        f"--kubeconfig={INSIDE}/keys/admin.kubeconfig",
        f"--hostname-override={NODE_NAME}",
        "--run-router=false",
        "--run-service-proxy=false",
        "--run-loadbalancer=false",
        "--run-firewall=true",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        "--health-port=0",
        "--metrics-port=0",
        "--iptables-sync-period=1m",
    )
