"""Every socket on which `luna up` listens, as docs/threats.md lists them."""

import re
import sys
from pathlib import Path

import psutil
import pytest
from tests.threats.running import LocalLuna

PAGE = Path(__file__).parents[2] / "docs" / "threats.md"
LOOPBACK = {"127.0.0.1", "::1", "::ffff:127.0.0.1"}
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="other systems do not let us see others' sockets")


def listening(luna: LocalLuna) -> set[tuple[str, bool]]:
    """The name of each process that listens, and whether beyond loopback; TCP and UDP."""
    found = set()
    for process in luna.processes():
        try:
            name = re.split(r"[:\s]*(?=ServeReplica)", process.cmdline()[0])[-1]
            for connection in process.net_connections("inet"):
                udp = connection.type.name == "SOCK_DGRAM" and not connection.raddr
                if connection.status == psutil.CONN_LISTEN or udp:
                    found.add((names(name), connection.laddr.ip not in LOOPBACK))
        except (psutil.Error, IndexError):
            continue
    return found


def names(program: str) -> str:
    """The name of a process as the page has it."""
    if program.startswith("ServeReplica"):
        return "ServeReplica"
    if program.startswith("ray::"):
        # While an actor works, its process is named after the method, too.
        return program.removeprefix("ray::").partition(".")[0]
    return Path(program).name


def documented() -> set[tuple[str, bool]]:
    """The rows of the page's table of listeners."""
    rows = re.findall(r"^\| `([\w :.-]+)` \| (loopback|every address) \|", PAGE.read_text(), re.MULTILINE)
    assert rows
    return {(name, where == "every address") for name, where in rows}


def test_luna_listens_where_the_page_says_and_nowhere_else(luna: LocalLuna) -> None:
    found = listening(luna)
    assert ("haproxy", False) in found
    assert {name for name, open_ in found if open_} <= {"ServeReplica"}, found
    assert found - documented() == set()
    assert {each for each in documented() if each not in found} == set()
