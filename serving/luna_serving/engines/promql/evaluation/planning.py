"""What a tree reads, and which of its parts are the same at every step."""

from collections.abc import Iterator

from luna_serving.engines.promql.evaluation.grid import Bounds, Grid, subquery_grid
from luna_serving.engines.promql.extensions import Extension
from luna_serving.engines.promql.series import Ints
from luna_serving.engines.promql.source import Selection
from luna_serving.engines.promql.syntax.nodes import (
    Aggregation,
    Call,
    MatrixSelector,
    Node,
    Number,
    Subquery,
    Text,
    VectorSelector,
    children,
    without_parens,
)

#: Functions of the time of evaluation (Prometheus: AtModifierUnsafeFunctions).
_OF_TIME = frozenset((
    "days_in_month", "day_of_month", "day_of_week", "day_of_year", "hour", "minute", "month", "year",
    "predict_linear", "time", "timestamp",
))  # fmt: skip


def invariants(tree: Node) -> frozenset[int]:
    """The ids of nodes whose value does not depend on the step, because of @ or as they are constant."""
    found: set[int] = set()
    _invariant(tree, found)
    return frozenset(found)


def _invariant(node: Node, found: set[int]) -> bool:
    below = [_invariant(child, found) for child in children(node)]
    match node:
        case Number() | Text():
            fixed = True
        case VectorSelector():
            fixed = node.at is not None
        case Subquery():
            fixed = node.at is not None
        case Aggregation():
            # As in Prometheus, the parameter does not matter.
            fixed = below[-1]
        case Call() if node.function.name == "timestamp":
            fixed = below[0] and isinstance(without_parens(node.arguments[0]), VectorSelector)
        case Call():
            fixed = node.function.name not in _OF_TIME and all(below)
        case _:
            fixed = all(below)
    if fixed:
        found.add(id(node))
    return fixed


def instant_selection(
    selector: VectorSelector, times_ms: Ints, lookback_ms: int, extension: Extension | None = None
) -> Selection:
    """What an instant selector reads at these times (moved, ascending); more if an extension needs history."""
    first = int(times_ms[0]) - lookback_ms + 1
    if extension is not None:
        first = min(first, extension.history(int(times_ms[0])))
    return Selection(selector.matchers, first, int(times_ms[-1]))


def range_selection(selector: VectorSelector, ends_ms: Ints, range_ms: int) -> Selection:
    """What a range selector reads for windows with these ends (moved, ascending)."""
    return Selection(selector.matchers, int(ends_ms[0]) - range_ms + 1, int(ends_ms[-1]))


def selections(node: Node, grid: Grid, bounds: Bounds, fixed: frozenset[int]) -> Iterator[Selection]:
    """What evaluating a node over a grid reads, in the order of the text. Selections may repeat."""
    if grid.count == 0:
        return
    if grid.count > 1 and id(node) in fixed and not isinstance(node, MatrixSelector | Subquery):
        grid = grid.first
    match node:
        case VectorSelector():
            yield instant_selection(node, grid.moved(node.at, node.offset_ms, bounds), bounds.lookback_ms)
        case MatrixSelector():
            ends = grid.moved(node.selector.at, node.selector.offset_ms, bounds)
            yield range_selection(node.selector, ends, node.range_ms)
        case Subquery():
            inner = subquery_grid(grid.moved(node.at, node.offset_ms, bounds), node.range_ms, node.step_ms)
            yield from selections(node.expression, inner, bounds, fixed)
        case Call() if node.function.extension is not None:
            for argument in node.arguments:
                selector = without_parens(argument)
                if isinstance(selector, VectorSelector):
                    times = grid.moved(selector.at, selector.offset_ms, bounds)
                    yield instant_selection(selector, times, bounds.lookback_ms, node.function.extension)
                else:
                    yield from selections(argument, grid, bounds, fixed)
        case _:
            for child in children(node):
                yield from selections(child, grid, bounds, fixed)
