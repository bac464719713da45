"""An expression that was checked, and what its callers ask of it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain
from types import MappingProxyType

from luna_serving.engines.indicators.catalogue.entry import Stability

from .faults import Span
from .tree import Column, Cross, Lag, Node, Output, Use, children

BARS_PER_UNIT = 100
COST_OF_INDICATOR = 10
_ORDER = (Stability.EXACT, Stability.WINDOW, Stability.CONVERGING, Stability.CUMULATIVE)


@dataclass(frozen=True, slots=True)
class Expression:
    """A valid expression. Two are equal where they mean the same, however they are written."""

    root: Node

    @property
    def lookback(self) -> int:
        """Nulls at the start of a history without gaps and without divisions by zero, bars."""
        return self.root.lookback

    @property
    def cost(self) -> int:
        """Work per bar: 1 per operator, 10 per indicator and 1 per 100 bars of its own lookback."""
        return cost_of(self.root)

    @property
    def stability(self) -> Stability:
        """The least stable class of its parts: how a value depends on bars long before it."""
        return max(map(_stability, nodes(self.root)), key=_ORDER.index)

    @property
    def columns(self) -> frozenset[str]:
        """Columns of the bars that it reads, itself or by an indicator."""
        named = {node.name for node in nodes(self.root) if isinstance(node, Column)}
        uses = (node.of for node in nodes(self.root) if isinstance(node, Output))
        return frozenset(named.union(*(use.indicator.inputs for use in uses if not use.inputs)))


def indicators_of(expression: Expression) -> Mapping[str, Span]:
    """Names of the indicators in it, each with the place of its first call, from left to right.

    The caller checks that each is granted.
    """
    outputs = sorted(
        (node for node in nodes(expression.root) if isinstance(node, Output)), key=lambda node: node.span.offset
    )
    first: dict[str, Span] = {}
    for node in outputs:
        first.setdefault(node.of.name, node.span)
    return MappingProxyType(first)


def nodes(root: Node) -> Iterator[Node]:
    """The node and all below it."""
    return chain((root,), *(nodes(child) for child in children(root)))


def cost_of(root: Node) -> int:
    """Work per bar; equal calls of indicators are computed once and cost once."""
    uses: set[Use] = set()
    operators = 0
    for node in nodes(root):
        if isinstance(node, Output):
            uses.add(node.of)
        elif not isinstance(node, Column):
            operators += 1
    return operators + sum(COST_OF_INDICATOR + use.own_lookback // BARS_PER_UNIT for use in uses)


def _stability(node: Node) -> Stability:
    match node:
        case Output(of):
            return of.indicator.stability
        case Lag() | Cross():
            return Stability.WINDOW
        case _:
            return Stability.EXACT
