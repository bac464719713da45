"""Images from podman's storage into the node's containerd: each content once."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from tests.cluster.node.configs import CONTAINERD_SOCKET
from tests.cluster.node.images import superseded
from tests.cluster.node.shell import NodeError, run
from tests.cluster.steps import step

if TYPE_CHECKING:
    from tests.cluster.node.images import Images
    from tests.cluster.node.namespaces import Namespaces
    from tests.cluster.node.podman import Podman

_CTR = ("ctr", f"--address={CONTAINERD_SOCKET}", "--namespace=k8s.io")


def load(inside: Namespaces, podman: Podman, images: Images) -> None:
    """Load the images that the node lacks, and remove those of older content.

    Raises:
        NodeError: containerd refused one.
    """
    there = set(run(*inside.command(*_CTR, "images", "list", "--quiet")).split())
    for image in images.run_by_the_node:
        if image not in there:
            with step(f"Loading {image}"):
                _load(inside, podman, image)
    for old in superseded(there, images):
        run(*inside.command(*_CTR, "images", "remove", old))


def _load(inside: Namespaces, podman: Podman, image: str) -> None:
    with podman.packed(image) as packing:
        imported = subprocess.run(
            inside.command(*_CTR, "images", "import", "--all-platforms", "-"),
            stdin=packing.stdout,
            capture_output=True,
            text=True,
            check=False,
        )
    if packing.returncode or imported.returncode:
        raise NodeError(f"{image} cannot be loaded into containerd: {imported.stderr.strip()}")
