"""Parse a query, say what it reads, evaluate it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from luna_serving.engines.promql.errors import EvaluationError, LimitExceeded, ParseError, Position
from luna_serving.engines.promql.evaluation.evaluator import Evaluator
from luna_serving.engines.promql.evaluation.grid import LOOKBACK_MS, Bounds, Grid
from luna_serving.engines.promql.evaluation.notes import Notes
from luna_serving.engines.promql.evaluation.planning import invariants, selections
from luna_serving.engines.promql.extensions import Extension
from luna_serving.engines.promql.labels import Labels
from luna_serving.engines.promql.limits import Limits, ParseLimits
from luna_serving.engines.promql.matchers import Matcher
from luna_serving.engines.promql.results import InstantResult, Matrix, Scalar, String, Vector
from luna_serving.engines.promql.series import Bools, Floats, Ints, Series
from luna_serving.engines.promql.source import Selection, Source
from luna_serving.engines.promql.syntax.grammar import read_expression
from luna_serving.engines.promql.syntax.nodes import (
    Node,
    Text,
    VectorSelector,
    children,
    type_of,
    without_parens,
)
from luna_serving.engines.promql.syntax.signatures import Type
from luna_serving.engines.promql.syntax.types import check, check_height

__all__ = ["LOOKBACK_MS", "Query", "RangeResult", "evaluate_instant", "evaluate_range", "parse", "parse_selector"]

RangeResult = Matrix

_TYPES = {Type.SCALAR: "scalar", Type.VECTOR: "vector", Type.MATRIX: "matrix", Type.STRING: "string"}


@dataclass(frozen=True, slots=True)
class Query:
    """A parsed and type-checked query. May be kept and evaluated by several threads.

    Attributes:
        text: as given.
        type: of its answer: "vector", "matrix", "scalar" or "string".
    """

    text: str
    type: str
    _tree: Node = field(repr=False, compare=False)
    _fixed: frozenset[int] = field(repr=False, compare=False)

    def selections(self, start_ms: int, end_ms: int, step_ms: int, lookback_ms: int = LOOKBACK_MS) -> list[Selection]:
        """The samples that an evaluation with these bounds reads, each selection once.

        For an instant query, `start_ms` and `end_ms` are the same and `step_ms` is 1.
        """
        grid = _grid(start_ms, end_ms, step_ms)
        return list(dict.fromkeys(selections(self._tree, grid, Bounds(start_ms, end_ms, lookback_ms), self._fixed)))

    def selectors(self) -> list[tuple[Matcher, ...]]:
        """The matchers of each selector, for `no_data` and for indexes of rules by metric."""
        found: list[tuple[Matcher, ...]] = []
        rest: list[Node] = [self._tree]
        while rest:
            node = rest.pop()
            if isinstance(node, VectorSelector):
                found.append(node.matchers)
            rest.extend(reversed(children(node)))
        return found


def parse(text: str, extensions: Mapping[str, Extension] | None = None, limits: ParseLimits | None = None) -> Query:
    """Parse a query and check its types.

    Args:
        text: PromQL.
        extensions: more functions, by name.
        limits: of the text.

    Raises:
        ParseError: with the position of the first fault.
        LimitExceeded: too long or too deep.
    """
    limits = limits or ParseLimits()
    tree = read_expression(text, extensions or {}, limits)
    check_height(tree, limits.height)
    check(text, tree)
    return Query(text, _TYPES[type_of(tree)], tree, invariants(tree))


def parse_selector(text: str) -> tuple[Matcher, ...]:
    """Parse an instant vector selector without modifiers, as in `match[]=`.

    Raises:
        ParseError: with the position of the first fault.
    """
    tree = read_expression(text, {}, ParseLimits())
    if not isinstance(tree, VectorSelector) or tree.at is not None or tree.offset_ms is not None:
        raise ParseError("expected an instant vector selector without modifiers", Position.of(text, 0))
    check(text, tree)
    return tree.matchers


def evaluate_instant(
    query: Query, source: Source, at_ms: int, limits: Limits, lookback_ms: int = LOOKBACK_MS
) -> InstantResult:
    """Evaluate a query at one time.

    Args:
        query: parsed.
        source: has what `query.selections` names, for the same look-back.
        at_ms: the time.
        limits: of the evaluation.
        lookback_ms: a sample this old is too old for an instant selector.

    Raises:
        EvaluationError: the samples do not allow an answer.
        LimitExceeded: too many samples.
    """
    with np.errstate(all="ignore"):
        return _instant(query, source, at_ms, limits, lookback_ms)


def _instant(query: Query, source: Source, at_ms: int, limits: Limits, lookback_ms: int) -> InstantResult:
    tree, grid = query._tree, Grid.between(at_ms, at_ms, 1)  # noqa: SLF001 - the module's own class
    notes = Notes(query.text)
    evaluator = Evaluator(source, limits, Bounds(at_ms, at_ms, lookback_ms), query._fixed, notes)  # noqa: SLF001
    match type_of(tree):
        case Type.STRING:
            literal = without_parens(tree)
            return String(at_ms, literal.value if isinstance(literal, Text) else "")
        case Type.SCALAR:
            value = float(evaluator.scalar(tree, grid)[0])
            return Scalar(at_ms, value, notes.warnings, notes.infos)
        case Type.MATRIX:
            windows = evaluator.windows(tree, grid)
            rows = []
            for labels, first, end in zip(windows.samples.labels, windows.first[:, 0], windows.end[:, 0], strict=True):
                if end > first:
                    rows.append((labels, windows.samples.timestamps[first:end], windows.samples.values[first:end]))
            return _matrix(rows, notes)
    columns = evaluator.vector(tree, grid)
    there = np.flatnonzero(columns.present[:, 0])
    names = tuple(dict(columns.labels[row]) for row in there.tolist())
    return Vector(at_ms, names, columns.values[there, 0], notes.warnings, notes.infos)


def evaluate_range(
    query: Query,
    source: Source,
    start_ms: int,
    end_ms: int,
    step_ms: int,
    limits: Limits,
    lookback_ms: int = LOOKBACK_MS,
) -> RangeResult:
    """Evaluate a query at `start_ms`, `start_ms + step_ms`, ... up to `end_ms`, inclusive.

    A scalar query gives one series without labels; `lookback_ms` is as for `evaluate_instant`.

    Raises:
        EvaluationError: the samples do not allow an answer; a query of type matrix or string.
        LimitExceeded: too many samples or points.
    """
    grid = _grid(start_ms, end_ms, step_ms)
    # As in Prometheus, the number of intervals counts.
    if grid.count - 1 > limits.points:
        raise LimitExceeded(
            f"exceeded maximum resolution of {limits.points:,} points per timeseries. Try decreasing the query "
            "resolution (?step=XX)",
            "points",
            limits.points,
        )
    with np.errstate(all="ignore"):
        return _range(query, source, Bounds(start_ms, end_ms, lookback_ms), grid, limits)


def _range(query: Query, source: Source, bounds: Bounds, grid: Grid, limits: Limits) -> RangeResult:
    tree = query._tree  # noqa: SLF001 - the module's own class
    notes = Notes(query.text)
    evaluator = Evaluator(source, limits, bounds, query._fixed, notes)  # noqa: SLF001
    match type_of(tree):
        case Type.SCALAR:
            return _matrix([((), grid.times, evaluator.scalar(tree, grid))] if grid.count else [], notes)
        case Type.VECTOR:
            columns = evaluator.vector(tree, grid)
            times = grid.times
            return _matrix(
                [_row(*row, times) for row in zip(columns.labels, columns.values, columns.present, strict=True)], notes
            )
        case other:
            raise EvaluationError(
                f'invalid expression type "{other.value}" for range query, must be Scalar or instant Vector'
            )


def _row(labels: Labels, values: Floats, present: Bools, times: Ints) -> tuple[Labels, Ints, Floats]:
    return (labels, times, values) if present.all() else (labels, times[present], values[present])


def _matrix(rows: list[tuple[Labels, Ints, Floats]], notes: Notes) -> Matrix:
    rows = sorted((row for row in rows if len(row[1])), key=lambda row: row[0])
    series = tuple(Series(dict(labels), timestamps, values) for labels, timestamps, values in rows)
    return Matrix(series, notes.warnings, notes.infos)


def _grid(start_ms: int, end_ms: int, step_ms: int) -> Grid:
    if step_ms <= 0:
        raise EvaluationError("zero or negative query resolution step widths are not accepted. Try a positive integer")
    return Grid.between(start_ms, end_ms, step_ms)
