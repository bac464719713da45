"""Two workers of pytest-xdist, two lanes (docs/decisions/0068).

Tests with servers hold bounds on wall-clock time, and Ray, Postgres and an API server take long to start: one worker
runs them all, in order. Tests that only compute run on the other worker, a module at a time, on processor time that
nobody else wants (`SCHED_IDLE`). A worker whose lane is at its end helps with what is left of the other's modules.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

from xdist.scheduler import LoadScopeScheduling

# No server, no clock: their modules import engines alone.
COMPUTING: Final = ("tests/engines/",)
SERVERS: Final = "servers"


def lane_of(nodeid: str) -> str:
    """`servers`, or the module of a test that only computes."""
    module = nodeid.partition("::")[0]
    return module if module.startswith(COMPUTING) else SERVERS


def give_way(nodeid: str) -> None:
    """Take the priority of a test's lane, on Linux; elsewhere a thread has none of its own."""
    if sys.platform != "linux":
        return
    policy = os.SCHED_OTHER if lane_of(nodeid) == SERVERS else os.SCHED_IDLE
    if os.sched_getscheduler(0) == policy:
        return
    # Threads that numerical libraries started before; later ones inherit it.
    for thread in Path("/proc/self/task").iterdir():
        # It may have ended; and only root gets back what it gave.
        with suppress(ProcessLookupError, PermissionError):
            os.sched_setscheduler(int(thread.name), policy, os.sched_param(0))


class LaneScheduling(LoadScopeScheduling):
    """Gives a worker a whole lane, or a whole module of tests that only compute."""

    def _split_scope(self, nodeid: str) -> str:
        return lane_of(nodeid)
