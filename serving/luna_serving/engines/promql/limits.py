"""How large a query may be."""

from collections.abc import Callable
from dataclasses import dataclass


def unlimited() -> None:
    """A deadline that never comes."""


def unbounded(values: int) -> None:
    """Memory that no other evaluation shares."""
    del values


@dataclass(frozen=True, slots=True)
class ParseLimits:
    """Bounds of the text.

    Attributes:
        length: characters. Longer than what a dashboard or a rule file holds.
        depth: nested parentheses, calls and operands. Bounded by Python's stack, as the tree is walked recursively.
        height: levels of the tree: a chain of operators is as high as it is long. Bounded by the same.
    """

    length: int = 16_384
    depth: int = 100
    height: int = 150


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of an evaluation.

    Attributes:
        samples: loaded samples plus values of intermediate results held at once (Prometheus: query.max-samples).
        points: steps per series of a range query (Prometheus: 11,000).
        check: called regularly, at least every few milliseconds of work; raises to end the evaluation (a deadline, a
            client that left). What it raises passes through unchanged.
        hold: called with the number of values of intermediate results that are about to be held at once, beside the
            loaded samples, 8 bytes each; raises to end the evaluation (memory that evaluations share).
    """

    samples: int = 50_000_000
    points: int = 11_000
    check: Callable[[], None] = unlimited
    hold: Callable[[int], None] = unbounded
