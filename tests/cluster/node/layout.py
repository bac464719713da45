"""Where the node's files stand, outside and inside its mount namespace, and which addresses it has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

# The same folder as `Layout.folder`, as the node's processes see it: their configuration needs no path of this machine.
INSIDE = Path("/run/luna-node")

# One private network for all: 10.123.0.0/16. The host has a route to it while the node runs, and forwards nothing.
NETWORK = "10.123.0.0/16"
HOST_ADDRESS = "10.123.0.1"
NODE_ADDRESS = "10.123.0.2"
POD_NETWORK = "10.123.64.0/18"
NODE_PODS = "10.123.64.0/24"
SERVICE_NETWORK = "10.123.128.0/17"
# The first address of the services' network is that of the API server.
API_SERVICE_ADDRESS = "10.123.128.1"
# The host's end of the only link between the two.
HOST_LINK = "luna0"

NODE_NAME = "luna-node"
CGROUP = "luna-node"


@dataclass(frozen=True)
class Layout:
    """The folder that `make cluster-assets` fills, and the node's folder in it."""

    assets: Path

    @property
    def programs(self) -> Path:
        """Programs that only a node needs. Their build locks nobody out of the control plane's."""
        return self.folder / "programs"

    @property
    def folder(self) -> Path:
        """The node's own: keys, configuration, logs, etcd, containerd's images."""
        return self.assets / "node"

    @property
    def images(self) -> Path:
        """podman's storage: the images that are built for the node."""
        return self.assets / "images"

    @property
    def logs(self) -> Path:
        """One file per process and step; kept until the next node starts."""
        return self.folder / "logs"

    @property
    def kubeconfig(self) -> Path:
        """For the administrator, on this machine."""
        return self.folder / "admin.kubeconfig"

    @property
    def holder(self) -> Path:
        """Process id of the process that holds the node's namespaces."""
        return self.folder / "holder.pid"

    @property
    def finished(self) -> Path:
        """Exists once the node is Ready."""
        return self.folder / "finished"

    @property
    def saved_sysctls(self) -> Path:
        """Exists while settings of the host may differ from what they were."""
        return self.folder / "sysctls.json"
