"""Two workers of pytest-xdist, two lanes (docs/decisions/0068).

Tests that kill, flood and restart servers hold bounds on wall-clock time, and Ray takes long to start: one worker runs
them all, in order. The other one gives way: it runs the tests of the operator, the chart and the stores, which wait for
what happens and not for a time, at a low priority, and then those that only compute, a module at a time, on processor
time that nobody else wants (`SCHED_IDLE`). A worker at the end of its lane takes what is left of these modules.
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
PATIENT: Final = ("tests/charts/", "tests/cluster/", "tests/objects/", "tests/operator/", "tests/store/")
NICE: Final = 10
BEGUN: Final = os.getpriority(os.PRIO_PROCESS, 0)


def lane_of(nodeid: str) -> str:
    """`timed`, `patient`, or the module of a test that only computes."""
    module = nodeid.partition("::")[0]
    if module.startswith(COMPUTING):
        return module
    return "patient" if module.startswith(PATIENT) else "timed"


def give_way(nodeid: str) -> None:
    """Take the priority of a test's lane, on Linux; elsewhere a thread has none of its own."""
    if sys.platform != "linux":
        return
    lane = lane_of(nodeid)
    policy = os.SCHED_IDLE if lane.startswith(COMPUTING) else os.SCHED_OTHER
    nice = BEGUN + NICE if lane == "patient" else BEGUN
    if (os.sched_getscheduler(0), os.getpriority(os.PRIO_PROCESS, 0)) == (policy, nice):
        return
    # Threads that numerical libraries started before; later ones inherit it.
    for thread in Path("/proc/self/task").iterdir():
        # It may have ended; and only root gets back what it gave.
        with suppress(ProcessLookupError, PermissionError):
            os.setpriority(os.PRIO_PROCESS, int(thread.name), nice)
            os.sched_setscheduler(int(thread.name), policy, os.sched_param(0))


class LaneScheduling(LoadScopeScheduling):
    """Gives a worker a whole lane, or a whole module of tests that only compute."""

    def _split_scope(self, nodeid: str) -> str:
        return lane_of(nodeid)
