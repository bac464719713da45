"""Values of the chart for a node without a registry: images by their content, and this machine as a caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.cluster.node.layout import HOST_ADDRESS

if TYPE_CHECKING:
    from tests.cluster.node.images import Images

_IMAGES = ("serving", "operator", "postgres", "valkey", "seaweedfs")


def for_the_node(images: Images) -> dict[str, Any]:
    """Return what comes on top of values-dev.yaml."""
    return {
        "images": {name: _image(getattr(images, name)) for name in _IMAGES},
        # Every pod, as without it, and the host: its address is not a pod's.
        "networkPolicy": {"callers": [{"namespaceSelector": {}}, {"ipBlock": {"cidr": f"{HOST_ADDRESS}/32"}}]},
    }


def _image(name: str) -> dict[str, str]:
    repository, _, tag = name.rpartition(":")
    return {"repository": repository, "tag": tag, "pullPolicy": "Never"}
