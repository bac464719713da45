"""A fixed binary tree over blocks, built from the left as they come in order.

The state after n blocks is a list of complete subtrees, the largest first, one for each bit of n. It is a function of
the blocks alone: computed on one worker or eight, in one run or three, after a kill or not, it has the same bits.
"""

from dataclasses import dataclass, field
from typing import Any, Self

from luna_serving.engines.finance.montecarlo.reduction.moments import Moments


@dataclass(slots=True)
class Tree:
    """Moments of blocks 0 to `blocks`, without gaps."""

    blocks: int = 0
    complete: list[Moments] = field(default_factory=list)

    def add(self, block: Moments) -> None:
        """Add the next block."""
        node, position = block, self.blocks
        while position & 1:
            node = self.complete.pop().joined(node)
            position >>= 1
        self.complete.append(node)
        self.blocks += 1

    def total(self) -> Moments:
        """Of all blocks, of which there is one at least."""
        node = self.complete[-1]
        for left in reversed(self.complete[:-1]):
            node = left.joined(node)
        return node

    def as_dict(self) -> dict[str, Any]:
        """As a checkpoint has it."""
        return {"blocks": self.blocks, "complete": [each.as_dict() for each in self.complete]}

    @classmethod
    def from_dict(cls, words: dict[str, Any]) -> Self:
        """From `as_dict`."""
        return cls(words["blocks"], [Moments.from_dict(each) for each in words["complete"]])
