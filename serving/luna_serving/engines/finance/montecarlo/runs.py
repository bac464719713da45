"""A run: blocks that were computed so far, what they say, and when they say enough."""

import platform
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Self

import numpy as np
import scipy

from luna_serving.engines.finance.montecarlo.blocks import Block, Pilot
from luna_serving.engines.finance.montecarlo.payoffs.portfolio import Portfolio
from luna_serving.engines.finance.montecarlo.problems import Problem
from luna_serving.engines.finance.montecarlo.reduction.estimates import Estimate, Layout, estimates
from luna_serving.engines.finance.montecarlo.reduction.tails import Tail
from luna_serving.engines.finance.montecarlo.reduction.tree import Tree

UPPER = Layout(("upper_bound",), (), ())


@dataclass(slots=True)
class Run:
    """Blocks 0 to `blocks` of a problem, joined. A function of the problem and the number of blocks alone."""

    problem: Problem
    known: Pilot
    tree: Tree = field(default_factory=Tree)
    upper: Tree = field(default_factory=Tree)
    tail: Tail | None = None
    trace: list[tuple[int, float, float]] = field(default_factory=list)
    """Paths, value and standard error after 1, 2, 4, ... blocks."""

    @property
    def blocks(self) -> int:
        """How many were added."""
        return self.tree.blocks

    @property
    def paths(self) -> int:
        """Of the blocks that were added."""
        return self.blocks * self.problem.drawing.paths

    def add(self, block: Block) -> None:
        """Add the next block."""
        self.tree.add(block.moments)
        if block.tail is not None:
            self.tail = block.tail if self.tail is None else self.tail.joined(block.tail)
        if block.upper is not None:
            self.upper.add(block.upper)
        if self.blocks & (self.blocks - 1) == 0:
            now = self.value
            self.trace.append((self.paths, now.value, now.std_error))

    @property
    def value(self) -> Estimate:
        """The estimate; of a portfolio the mean profit."""
        return estimates(self.tree.total(), self.problem.layout)["value"]

    @property
    def upper_bound(self) -> Estimate | None:
        """The dual bound, where it was asked for."""
        return estimates(self.upper.total(), UPPER)["upper_bound"] if self.upper.blocks else None

    def risks(self) -> dict[float, tuple[Estimate, Estimate]]:
        """Value at risk and expected shortfall by level, of a portfolio."""
        payoff = self.problem.payoff
        if self.tail is None or not isinstance(payoff, Portfolio):
            return {}
        return {level: self.tail.measures(level) for level in payoff.levels}

    def precise(self, std_error: float | None) -> bool:
        """Whether the standard error is small enough; after two blocks at least, so that no single one decides."""
        return std_error is not None and self.blocks >= 2 and self.value.std_error <= std_error

    def as_dict(self) -> dict[str, Any]:
        """As a checkpoint has it: everything but the problem and its pilot, which follows from it."""
        return {
            "tree": self.tree.as_dict(),
            "upper": self.upper.as_dict(),
            "tail": None if self.tail is None else self.tail.as_dict(),
            "trace": [list(each) for each in self.trace],
        }

    @classmethod
    def from_dict(cls, problem: Problem, known: Pilot, words: dict[str, Any]) -> Self:
        """From `as_dict`."""
        tail = words["tail"]
        return cls(
            problem,
            known,
            Tree.from_dict(words["tree"]),
            Tree.from_dict(words["upper"]),
            None if tail is None else Tail.from_dict(tail),
            [(int(n), value, error) for n, value, error in words["trace"]],
        )


@cache
def reproducible_on() -> dict[str, str]:
    """What the bits depend on beside the problem: the instruction sets that NumPy's loops use, and its version."""
    # What `np.show_config` prints.
    found = np.show_config(mode="dicts")["SIMD Extensions"].get("found", [])
    return {
        "machine": platform.machine(),
        "instructions": found[-1] if found else "baseline",
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }
