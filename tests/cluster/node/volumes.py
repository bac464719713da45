"""Persistent volumes of the node, in its own folder: nothing makes any there, and stores that keep data claim some."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.cluster.node.layout import INSIDE

if TYPE_CHECKING:
    from tests.cluster.kubernetes import Kubernetes
    from tests.cluster.node.layout import Layout

# As many as the chart's stores, and as many again for a release that is installed beside it.
_NUMBER = 6


def provide(layout: Layout, cluster: Kubernetes) -> None:
    """Make empty folders and the volumes that lead to them. They go with the node.

    Raises:
        CommandFailedError: kubectl refused.
    """
    for number in range(_NUMBER):
        folder = layout.folder / "volumes" / str(number)
        folder.mkdir(parents=True, exist_ok=True)
        # The kubelet changes no owner of such a volume, and each store has another user.
        folder.chmod(0o777)
    cluster.apply("\n---\n".join(json.dumps(_volume(number)) for number in range(_NUMBER)))


def _volume(number: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": f"luna-{number}"},
        "spec": {
            "capacity": {"storage": "64Gi"},
            "accessModes": ["ReadWriteOnce"],
            "persistentVolumeReclaimPolicy": "Retain",
            "hostPath": {"path": f"{INSIDE}/volumes/{number}", "type": "Directory"},
        },
    }
