"""Packages of Debian and Ubuntu that a node needs: a container runtime, its network plug-ins, a builder of images."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.cluster.node.shell import NodeError, run

# Program, or file, and the package that has it.
NEEDED = {
    "containerd": "containerd",
    "runc": "runc",
    "podman": "podman",
    "debootstrap": "debootstrap",
    "iptables": "iptables",
    "ipset": "ipset",
    "conntrack": "conntrack",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "mount": "mount",
    "/usr/lib/cni/bridge": "containernetworking-plugins",
}


def missing(needed: dict[str, str] = NEEDED) -> list[str]:
    """Return the packages whose program is not on this machine."""
    return sorted({package for program, package in needed.items() if not _exists(program)})


def install(packages: list[str], log: Path) -> None:
    """Install packages from the sources that this machine has; they stay after `make cluster-down`.

    Raises:
        NodeError: there is no apt-get, or it failed.
    """
    if not shutil.which("apt-get"):
        raise NodeError(f"This is neither Debian nor Ubuntu. Install by hand: {', '.join(packages)}")
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    run("apt-get", "update", "--quiet", log=log, environment=environment)
    options = ("--yes", "--quiet", "--no-install-recommends")
    run("apt-get", "install", *options, *packages, log=log, environment=environment)


def _exists(program: str) -> bool:
    # Root's PATH may lack the folders of system programs.
    return Path(program).exists() or bool(shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/bin"))
