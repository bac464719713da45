"""The node's namespaces of network, mounts, processes and IPC. One process holds them: when it ends, all in them ends.

The kernel then kills every process of the node, containers included, and takes its mounts and interfaces away. What
is left on the host is a tree of empty cgroups.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.node.layout import (
    CGROUP,
    HOST_ADDRESS,
    HOST_LINK,
    INSIDE,
    NETWORK,
    NODE_ADDRESS,
)
from tests.cluster.node.shell import NodeError, run

if TYPE_CHECKING:
    from tests.cluster.node.layout import Layout

_START_S = 20.0
_END_S = 30.0
_CGROUPS = Path("/sys/fs/cgroup")

# Programs write below /run, /var/lib and /var/log wherever they are told to keep their data: these are covered, so
# that nothing of it reaches the host. Not slave but private: no mount goes either way.
_SETUP = f"""\
set -eu
mkdir /tmp/luna-node-$$ && mount --bind "$1" /tmp/luna-node-$$
mount -t tmpfs -o mode=755 tmpfs /run
mkdir -p {INSIDE} && mount --move /tmp/luna-node-$$ {INSIDE} && rmdir /tmp/luna-node-$$
for folder in /var/lib /var/log; do
  mkdir -p /run/over$folder/upper /run/over$folder/work
  mount -t overlay -o lowerdir=$folder,upperdir=/run/over$folder/upper,workdir=/run/over$folder/work overlay $folder
done
exec "$2"
"""


class Namespaces:
    """The namespaces of a running node."""

    def __init__(self, holder: int) -> None:
        """Use those that process `holder` has."""
        self._holder = holder

    def command(self, *command: object) -> list[str]:
        """Return the command line that runs `command` inside."""
        enter = ("nsenter", f"--target={self._holder}", "--net", "--mount", "--pid", "--ipc", "--")
        return [*enter, *map(str, command)]


def find(layout: Layout) -> Namespaces | None:
    """Return the namespaces of the node that runs, or None."""
    try:
        holder = int(layout.holder.read_text())
        program = Path(f"/proc/{holder}/cmdline").read_bytes().split(b"\0")[0]
    except (OSError, ValueError):
        return None
    # Another process may have its number since.
    return Namespaces(holder) if Path(os.fsdecode(program)) == layout.programs / "pause" else None


def make(layout: Layout) -> Namespaces:
    """Make the namespaces, and a link between the host and them.

    Raises:
        NodeError: the kernel or a container forbids it.
    """
    make_cgroups()
    log = layout.logs / "namespaces.log"
    own = ("--net", "--mount", "--pid", "--ipc", "--fork", "--mount-proc", "--propagation=private")
    command = ("unshare", *own, "--", "sh", "-c", _SETUP, "sh", layout.folder, layout.programs / "pause")
    with log.open("w") as file:
        # A session of its own: Ctrl-C in the terminal ends make, not the node.
        unshare = subprocess.Popen(
            [str(word) for word in command],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and unshare.poll() is None:
        children = Path(f"/proc/{unshare.pid}/task/{unshare.pid}/children").read_text().split()
        if children:
            layout.holder.write_text(children[0])
            if found := find(layout):
                _link(found, int(children[0]))
                return found
        time.sleep(0.05)
    unshare.kill()
    raise NodeError(
        "No namespaces for the node: this needs root with all capabilities, as a container without --privileged "
        f"lacks them.\n{log.read_text()}"
    )


def _link(inside: Namespaces, holder: int) -> None:
    run("ip", "link", "add", HOST_LINK, "type", "veth", "peer", "name", "eth0", "netns", holder)
    run("ip", "address", "add", f"{HOST_ADDRESS}/24", "dev", HOST_LINK)
    run("ip", "link", "set", HOST_LINK, "up")
    for words in (
        ("ip", "link", "set", "lo", "up"),
        ("ip", "address", "add", f"{NODE_ADDRESS}/24", "dev", "eth0"),
        ("ip", "link", "set", "eth0", "up"),
        # The host forwards nothing: pods reach nothing beyond it.
        ("ip", "route", "add", "default", "via", HOST_ADDRESS),
        ("sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"),
        (
            "sh",
            "-c",
            "for file in /proc/sys/net/bridge/bridge-nf-call-iptables; do [ ! -e $file ] || echo 1 > $file; done",
        ),
    ):
        run(*inside.command(*words))
    # It goes with the link.
    run("ip", "route", "add", NETWORK, "via", NODE_ADDRESS, "dev", HOST_LINK)


def remove(layout: Layout) -> None:
    """End the node's processes and wait until nothing of them is left on the host.

    Raises:
        NodeError: something stays.
    """
    if find(layout):
        os.kill(int(layout.holder.read_text()), signal.SIGKILL)
    deadline = time.monotonic() + _END_S
    while find(layout) or Path(f"/sys/class/net/{HOST_LINK}").exists() or not _remove_cgroups():
        if time.monotonic() > deadline:
            raise NodeError(
                f"Something of the node is still there after {_END_S:.0f} s: its processes, {HOST_LINK} or a cgroup"
            )
        time.sleep(0.1)
    layout.holder.unlink(missing_ok=True)


def make_cgroups() -> None:
    """Make the cgroup below which the kubelet puts pods, in each hierarchy."""
    for hierarchy in _hierarchies():
        (hierarchy / CGROUP).mkdir(exist_ok=True)
        controllers = hierarchy / "cgroup.controllers"
        if controllers.exists() and hierarchy == _CGROUPS:
            allowed = " ".join(f"+{name}" for name in controllers.read_text().split())
            (hierarchy / CGROUP / "cgroup.subtree_control").write_text(allowed)


def _remove_cgroups() -> bool:
    left = False
    for hierarchy in _hierarchies():
        top = hierarchy / CGROUP
        for folder in sorted((path for path in top.rglob("*") if path.is_dir()), key=lambda path: -len(path.parts)):
            left = not _remove_folder(folder) or left
        left = not _remove_folder(top) or left
    return not left


def _remove_folder(folder: Path) -> bool:
    try:
        folder.rmdir()
    except FileNotFoundError:
        return True
    except OSError:
        # Processes that are being killed.
        return False
    return True


def _hierarchies() -> list[Path]:
    """The mounts of cgroups: one with cgroups v2, one per controller with v1."""
    if (_CGROUPS / "cgroup.controllers").exists():
        return [_CGROUPS]
    return sorted({path.resolve() for path in _CGROUPS.iterdir() if (path / "cgroup.procs").exists()})
