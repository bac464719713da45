"""What travels to a replica and back."""

from dataclasses import dataclass

from luna_serving.capabilities.montecarlo.wire.requests import Asked
from luna_serving.engines.finance.montecarlo.api.description import Block, Pilot, Problem


@dataclass(frozen=True, slots=True)
class WholeRun:
    """A request that is answered at once, with the body of its answer."""

    asked: Asked


@dataclass(frozen=True, slots=True)
class PilotOf:
    """The pilot of a job, which is answered with a `Pilot`."""

    problem: Problem


@dataclass(frozen=True, slots=True)
class BlocksOf:
    """Some blocks of a job, which are answered with a tuple of `Block`."""

    problem: Problem
    known: Pilot
    first: int
    count: int


AnyJob = WholeRun | PilotOf | BlocksOf
Computed = bytes | Pilot | tuple[Block, ...]
