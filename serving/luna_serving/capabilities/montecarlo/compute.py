"""Computes jobs in a replica, a block at a time."""

import logging
import time
from collections.abc import Callable
from typing import Final

from luna_serving.capabilities.montecarlo.metrics import MonteCarloMetrics
from luna_serving.capabilities.montecarlo.wire.answers import answer_of
from luna_serving.capabilities.montecarlo.wire.travelling import AnyJob, BlocksOf, Computed, PilotOf, WholeRun
from luna_serving.dispatch.outcomes import Failed, Refused
from luna_serving.engines.finance.montecarlo.api.compute import compute, pilot
from luna_serving.engines.finance.montecarlo.api.description import Block, NotFinite, Pilot, Problem, Run

OVERFLOWS: Final = (
    "Its prices overflow float64 before the horizon. Lower rates, volatilities or jumps, or the time to expiry."
)

log = logging.getLogger("luna.montecarlo")


class Abandoned(Exception):
    """Nobody waits for the answer any more."""


class Worker:
    """Computes jobs of one replica."""

    def __init__(self, metrics: MonteCarloMetrics) -> None:
        self._metrics = metrics

    def answer(self, job: AnyJob, abandoned: Callable[[], bool]) -> Computed | Refused | Failed:
        """Compute one job.

        Args:
            job: which.
            abandoned: looked at between blocks.

        Raises:
            Abandoned: it was true.
        """
        try:
            match job:
                case WholeRun():
                    return self._whole(job, abandoned)
                case PilotOf(problem):
                    return pilot(problem)
                case BlocksOf(problem, known, first, count):
                    return tuple(self._block(problem, known, block, abandoned) for block in range(first, first + count))
        except NotFinite:
            return Refused("/model", OVERFLOWS)
        except (ArithmeticError, ValueError, MemoryError):
            # A problem was checked before it came here: this is ours.
            log.exception("a problem cannot be computed")
            return Failed()

    def _whole(self, job: WholeRun, abandoned: Callable[[], bool]) -> bytes:
        asked, begun = job.asked, time.monotonic()
        run, stopped = Run(asked.problem, pilot(asked.problem)), "paths"
        while run.blocks < asked.blocks:
            run.add(self._block(asked.problem, run.known, run.blocks, abandoned))
            if run.precise(asked.std_error):
                stopped = "std_error"
                break
            if run.blocks < asked.blocks and time.monotonic() - begun >= asked.seconds:
                stopped = "seconds"
                break
        return answer_of(asked, run, stopped)

    def _block(self, problem: Problem, known: Pilot, number: int, abandoned: Callable[[], bool]) -> Block:
        if abandoned():
            raise Abandoned
        begun = time.perf_counter()
        block = compute(problem, known, number)
        self._metrics.computed(problem, time.perf_counter() - begun)
        return block
