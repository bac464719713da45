"""Settings of the whole machine that a kubelet changes at its start, whatever its namespaces are."""

from __future__ import annotations

import json
from pathlib import Path

_FOLDER = Path("/proc/sys")
# The kubelet's --protect-kernel-defaults would refuse to start instead.
NAMES = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)


def read(folder: Path = _FOLDER) -> dict[str, str]:
    """Return those that this kernel has."""
    return {name: (folder / name).read_text().strip() for name in NAMES if (folder / name).exists()}


def save(file: Path, folder: Path = _FOLDER) -> None:
    """Write the present settings to `file`, unless an interrupted run left one: then these are the host's own."""
    if not file.exists():
        file.write_text(json.dumps(read(folder), indent=2) + "\n")


def restore(file: Path, folder: Path = _FOLDER) -> None:
    """Set what `save` wrote, and remove `file`; without it nothing was changed."""
    if not file.exists():
        return
    now = read(folder)
    for name, value in json.loads(file.read_text()).items():
        if now.get(name) != value:
            (folder / name).write_text(value)
    file.unlink()
