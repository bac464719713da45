"""Where the programs of a test cluster stand: pinned versions, and the folder that `make cluster-assets` fills."""

from __future__ import annotations

import os
import re
from pathlib import Path

TOOLS = Path(__file__).parent / "tools"


def pinned(module: str) -> str:
    """Return the version that tools/go.mod requires of a Go module, such as `v1.35.4`."""
    version: str
    [version] = re.findall(
        rf"^\s*(?:require )?{re.escape(module)} (\S+)$", (TOOLS / "go.mod").read_text(), re.MULTILINE
    )
    return version


KUBERNETES_VERSION = pinned("k8s.io/kubernetes")


def assets_folder() -> Path:
    """Folder of etcd, kube-apiserver, kube-controller-manager, kubectl, helm and `crds/`, filled or not.

    `LUNA_CLUSTER_ASSETS`, else a cache of this user's that every checkout shares.
    """
    if chosen := os.environ.get("LUNA_CLUSTER_ASSETS"):
        return Path(chosen).expanduser().absolute()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "luna" / "cluster" / KUBERNETES_VERSION
