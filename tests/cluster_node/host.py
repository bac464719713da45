"""What a node may change on its host: settings, interfaces, routes, rules, mounts, cgroups, listening sockets."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

# Counters, and what the kernel sets by what it measures.
_MOVING = re.compile(
    r"^fs/(aio-nr|dentry-state|file-nr|inode-nr|inode-state|quota/.*)$"
    r"|^kernel/(random/.*|ns_last_pid|pty/nr|perf_event_max_sample_rate|sched_domain/.*)$"
    r"|^net/netfilter/nf_conntrack_count$|^debug/"
)


State = dict[str, dict[str, str] | list[str]]


def snapshot() -> State:
    """Return the host's state, without counters: equal before and after a node."""
    return {
        "sysctls": _sysctls(),
        "interfaces": _interfaces(),
        "routes": sorted(_said("ip", "route", "show", "table", "all").splitlines()),
        "iptables": _rules("iptables-save"),
        "ip6tables": _rules("ip6tables-save"),
        "ipsets": _said("ipset", "list", "-name").splitlines(),
        "mounts": sorted(line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()),
        "namespaces": _said("ip", "netns", "list").splitlines(),
        "cgroups": sorted({str(path) for path in Path("/sys/fs/cgroup").glob("**/*luna*")}),
        "run": sorted(path.name for path in Path("/run").iterdir()),
        "folders": sorted(str(path) for name in ("/var/lib", "/var/log", "/etc/cni", "/opt") for path in _inside(name)),
    }


def differences(before: State, after: State) -> dict[str, tuple[list[str], list[str]]]:
    """Return the parts that differ, each reduced to what is in one of the two only."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    for part, old in before.items():
        new = after[part]
        if old == new:
            continue
        olds, news = (sorted(map(str, x.items() if isinstance(x, dict) else x)) for x in (old, new))
        found[part] = ([line for line in olds if line not in news], [line for line in news if line not in olds])
    return found


def _sysctls() -> dict[str, str]:
    root = Path("/proc/sys")
    values = {}
    for path in root.rglob("*"):
        name = str(path.relative_to(root))
        if path.is_file() and not _MOVING.search(name):
            try:
                values[name] = path.read_text(errors="replace")
            except OSError:
                # Some can only be written.
                continue
    return values


def _interfaces() -> list[str]:
    shown = json.loads(_said("ip", "-json", "address", "show"))
    return sorted(
        f"{link['ifname']} {link['operstate']} {[address['local'] for address in link['addr_info']]}" for link in shown
    )


def _rules(program: str) -> list[str]:
    # Without counters, comments and the tables that only looking at them made.
    lines = (re.sub(r"\[\d+:\d+\]", "", line).strip() for line in _said(program).splitlines())
    return sorted(line for line in lines if line.startswith(("-A", ":")) and not line.endswith("ACCEPT"))


def _inside(name: str) -> list[Path]:
    folder = Path(name)
    return list(folder.iterdir()) if folder.is_dir() else []


def _said(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout
