"""The walk over a tree: each node over a grid of steps, at once."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import numpy as np

from luna_serving.engines.promql.columns import Columns
from luna_serving.engines.promql.errors import EvaluationError, LimitExceeded
from luna_serving.engines.promql.evaluation import aggregations, binary, buckets, over_ranges
from luna_serving.engines.promql.evaluation.extended import extended
from luna_serving.engines.promql.evaluation.grid import Bounds, Grid, subquery_grid
from luna_serving.engines.promql.evaluation.notes import Notes
from luna_serving.engines.promql.evaluation.planning import instant_selection, range_selection
from luna_serving.engines.promql.functions import calendar, elementwise, relabelling
from luna_serving.engines.promql.labels import without_metadata
from luna_serving.engines.promql.limits import Limits
from luna_serving.engines.promql.samples import Samples, Windows, latest, windows
from luna_serving.engines.promql.series import Bools, Floats
from luna_serving.engines.promql.source import Selection, Source
from luna_serving.engines.promql.syntax.nodes import (
    Aggregation,
    Binary,
    Call,
    MatrixSelector,
    Node,
    Number,
    Paren,
    Subquery,
    Text,
    Unary,
    VectorSelector,
    type_of,
    without_parens,
)
from luna_serving.engines.promql.syntax.signatures import Type
from luna_serving.engines.promql.syntax.tokens import SET_OPERATORS

_TOO_MANY = "query processing would load too many samples into memory in query execution"


class Evaluator:
    """Evaluates one query once.

    Args:
        source: where samples come from.
        limits: of the evaluation.
        bounds: of the whole query, with its look-back.
        fixed: ids of nodes that do not depend on the step.
        notes: gets warnings and infos.
    """

    def __init__(self, source: Source, limits: Limits, bounds: Bounds, fixed: frozenset[int], notes: Notes) -> None:
        self._source = source
        self._limits = limits
        self._bounds = bounds
        self._fixed = fixed
        self._notes = notes
        self._loaded = 0
        self._cache: dict[Selection, Samples] = {}

    def load(self, selection: Selection) -> Samples:
        """The samples of a selection, staleness markers included; each selection is asked for once.

        Raises:
            LimitExceeded: too many samples.
        """
        known = self._cache.get(selection)
        if known is None:
            series = self._source.select(selection.matchers, selection.first_ms, selection.last_ms)
            self._loaded += sum(len(one.timestamps) for one in series)
            self._hold(0)
            known = self._cache[selection] = Samples.of(series)
        return known

    def _hold(self, values: int) -> None:
        """Refuse to hold so many values beside the loaded samples."""
        self._limits.check()
        if self._loaded + values > self._limits.samples:
            raise LimitExceeded(_TOO_MANY, "samples", self._limits.samples)
        self._limits.hold(values)

    def scalar(self, node: Node, grid: Grid) -> Floats:
        """A scalar expression, float64 [steps]."""
        if grid.is_range and id(node) in self._fixed:
            return np.broadcast_to(self.scalar(node, grid.first), (grid.count,))
        match node:
            case Number():
                return np.full(grid.count, node.value)
            case Paren():
                return self.scalar(node.expression, grid)
            case Unary():
                inner = self.scalar(node.expression, grid)
                return -inner if node.operator == "-" else inner
            case Binary():
                return binary.scalars(node.operator, self.scalar(node.left, grid), self.scalar(node.right, grid))
            case Call() if node.function.name == "time":
                return grid.times / 1000
            case Call() if node.function.name == "pi":
                return np.full(grid.count, np.pi)
            case Call():
                columns = self.vector(node.arguments[0], grid)
                return _only(columns)
        raise TypeError(type(node))

    def vector(self, node: Node, grid: Grid) -> Columns:
        """An instant vector expression at each step."""
        if grid.count == 0:
            return Columns.empty(0)
        if grid.is_range and id(node) in self._fixed:
            self._hold(0)
            columns = self._vector(node, grid.first)
            self._hold(len(columns.labels) * grid.count)
            return columns.repeated(grid.count)
        columns = self._vector(node, grid)
        self._hold(columns.values.size)
        return columns

    def _vector(self, node: Node, grid: Grid) -> Columns:
        match node:
            case VectorSelector():
                times = grid.moved(node.at, node.offset_ms, self._bounds)
                samples = self.load(instant_selection(node, times, self._bounds.lookback_ms))
                self._hold(len(samples.labels) * grid.count)
                return latest(samples, times, self._bounds.lookback_ms)[0]
            case Paren():
                return self.vector(node.expression, grid)
            case Unary():
                columns = self.vector(node.expression, grid)
                if node.operator == "+":
                    return columns
                return Columns(columns.labels, -columns.values, columns.present).relabelled(without_metadata)
            case Binary():
                return self._binary(node, grid)
            case Aggregation():
                return self._aggregation(node, grid)
            case Call():
                return self._call(node, grid)
        raise TypeError(type(node))

    def _binary(self, node: Binary, grid: Grid) -> Columns:
        if type_of(node.left) is Type.SCALAR:
            scalar, vector = self.scalar(node.left, grid), self.vector(node.right, grid)
            return binary.with_scalar(node, vector, scalar, scalar_left=True)
        if type_of(node.right) is Type.SCALAR:
            vector, scalar = self.vector(node.left, grid), self.scalar(node.right, grid)
            return binary.with_scalar(node, vector, scalar, scalar_left=False)
        left, right = self.vector(node.left, grid), self.vector(node.right, grid)
        if node.operator in SET_OPERATORS:
            return binary.sets(node, left, right)
        return binary.vectors(node, left, right, self._limits.samples)

    def _aggregation(self, node: Aggregation, grid: Grid) -> Columns:
        check = self._limits.check
        if node.operator == "count_values" and node.parameter is not None:
            return aggregations.count_values(node, self.vector(node.expression, grid), _text(node.parameter), check)
        parameter = np.zeros(grid.count) if node.parameter is None else self.scalar(node.parameter, grid)
        columns = self.vector(node.expression, grid)
        return aggregations.aggregate(node, columns, parameter, self._notes, check)

    def _call(self, node: Call, grid: Grid) -> Columns:
        name, arguments = node.function.name, node.arguments
        if node.function.extension is not None:
            return self._extension(node, grid)
        for index, argument in enumerate(arguments):
            if type_of(argument) is Type.MATRIX:
                others = [self.scalar(one, grid) for at, one in enumerate(arguments) if at != index]
                return self._over_range(node, argument, others, grid)
        if name in elementwise.FUNCTIONS:
            return self._elementwise(node, grid)
        if name in calendar.PARTS:
            return self._date(node, grid)
        return self._CALLS[name](self, node, grid)

    def _elementwise(self, node: Call, grid: Grid) -> Columns:
        columns = self.vector(node.arguments[0], grid)
        values = elementwise.FUNCTIONS[node.function.name](columns.values)
        return Columns(columns.labels, values, columns.present).relabelled(without_metadata)

    def _constant(self, node: Call, grid: Grid) -> Columns:
        return Columns.one((), self.scalar(node.arguments[0], grid))

    def windows(self, node: Node, grid: Grid) -> Windows:
        """A range vector expression: the windows at each step."""
        match without_parens(node):
            case MatrixSelector(selector=selector) as matrix:
                ends = grid.moved(selector.at, selector.offset_ms, self._bounds)
                samples = self.load(range_selection(selector, ends, matrix.range_ms))
                self._hold(len(samples.labels) * grid.count)
                return windows(samples, ends, matrix.range_ms, matrix.range_s)
            case Subquery() as subquery:
                ends = grid.moved(subquery.at, subquery.offset_ms, self._bounds)
                inner = subquery_grid(ends, subquery.range_ms, subquery.step_ms)
                self._hold(inner.count)
                columns = self.vector(subquery.expression, inner)
                samples = _as_samples(columns, inner)
                self._hold(columns.values.size + len(samples.labels) * grid.count)
                return windows(samples, ends, subquery.range_ms, subquery.range_s)
        raise TypeError(type(node))

    def _over_range(self, node: Call, argument: Node, scalars: list[Floats], grid: Grid) -> Columns:
        over = self.windows(argument, grid)
        if node.function.name != "absent_over_time":
            return over_ranges.evaluate(node, over, scalars, grid.times, self._notes, self._limits.check)
        some: Bools = np.any(over.end > over.first, axis=0)
        matrix = without_parens(argument)
        labels = relabelling.of_absent(matrix.selector.matchers) if isinstance(matrix, MatrixSelector) else ()
        return Columns((labels,), np.ones((1, grid.count)), ~some[np.newaxis]).occupied()

    def _absent(self, node: Call, grid: Grid) -> Columns:
        columns = self.vector(node.arguments[0], grid)
        selector = without_parens(node.arguments[0])
        labels = relabelling.of_absent(selector.matchers) if isinstance(selector, VectorSelector) else ()
        some: Bools = np.any(columns.present, axis=0)
        return Columns((labels,), np.ones((1, grid.count)), ~some[np.newaxis]).occupied()

    def _timestamp(self, node: Call, grid: Grid) -> Columns:
        selector = without_parens(node.arguments[0])
        if isinstance(selector, VectorSelector):
            times = grid.moved(selector.at, selector.offset_ms, self._bounds)
            lookback_ms = self._bounds.lookback_ms
            samples = self.load(instant_selection(selector, times, lookback_ms))
            columns, timestamps = latest(samples, times, lookback_ms)
            values = timestamps / 1000
        else:
            columns = self.vector(selector, grid)
            values = np.broadcast_to(grid.times / 1000, columns.values.shape)
        return Columns(columns.labels, values, columns.present).relabelled(without_metadata)

    def _date(self, node: Call, grid: Grid) -> Columns:
        name = node.function.name
        if not node.arguments:
            return Columns.one((), calendar.part(name, grid.times / 1000))
        columns = self.vector(node.arguments[0], grid)
        values = calendar.part(name, columns.values)
        return Columns(columns.labels, values, columns.present).relabelled(without_metadata)

    def _sort(self, node: Call, grid: Grid) -> Columns:
        columns = self.vector(node.arguments[0], grid)
        if grid.is_range:
            self._notes.sort_in_range(node.start)
            return columns
        values = columns.values[:, 0]
        # NaN sorts last in both directions.
        order = np.argsort(values if node.function.name == "sort" else -values, kind="stable")
        return columns.rows(order)

    def _bounded(self, node: Call, grid: Grid) -> Columns:
        columns = self.vector(node.arguments[0], grid)
        parameters = [self.scalar(argument, grid) for argument in node.arguments[1:]]
        present = columns.present
        match node.function.name:
            case "round":
                values = elementwise.rounded(columns.values, parameters[0] if parameters else np.ones(grid.count))
            case "clamp":
                values = elementwise.clamped(columns.values, parameters[0], parameters[1])
                present = present & ~(parameters[1] < parameters[0])
            case "clamp_min":
                values = elementwise.clamped(columns.values, parameters[0], np.full(grid.count, np.inf))
            case _:
                values = elementwise.clamped(columns.values, np.full(grid.count, -np.inf), parameters[0])
        return Columns(columns.labels, values, present).occupied().relabelled(without_metadata)

    def _histogram(self, node: Call, grid: Grid) -> Columns:
        parameters = [self.scalar(argument, grid) for argument in node.arguments[:-1]]
        operand = node.arguments[-1]
        columns = self.vector(operand, grid)
        start = operand.start
        if node.function.name == "histogram_fraction":
            return buckets.fractions(parameters[0], parameters[1], columns, start, self._notes)
        q_start = node.arguments[0].start
        return buckets.quantiles(parameters[0], q_start, columns, start, grid.times, self._notes)

    def _relabel(self, node: Call, grid: Grid) -> Columns:
        texts = [_text(argument) for argument in node.arguments[1:]]
        if node.function.name == "label_replace":
            target, template, source, pattern = texts
            relabel = relabelling.replacement_of(target, template, source, pattern)
        else:
            relabel = relabelling.join_of(texts[0], texts[1], texts[2:])
        return self.vector(node.arguments[0], grid).relabelled(relabel)

    def _extension(self, node: Call, grid: Grid) -> Columns:
        extension = node.function.extension
        selector = next(found for one in node.arguments if isinstance(found := without_parens(one), VectorSelector))
        times = grid.moved(selector.at, selector.offset_ms, self._bounds)
        lookback_ms = self._bounds.lookback_ms
        samples = self.load(instant_selection(selector, times, lookback_ms, extension))
        others: list[Floats | str] = []
        for argument in node.arguments:
            if type_of(argument) is Type.SCALAR:
                others.append(self.scalar(argument, grid))
            elif type_of(argument) is Type.STRING:
                others.append(_text(argument))
        if extension is None:
            raise TypeError(node.function.name)
        return extended(extension, samples, times, lookback_ms, others, self._limits.check)

    # The methods of calls that are neither over a range nor elementwise.
    _CALLS: ClassVar[Mapping[str, Callable[["Evaluator", Call, Grid], Columns]]] = {
        "absent": _absent,
        "clamp": _bounded,
        "clamp_max": _bounded,
        "clamp_min": _bounded,
        "histogram_fraction": _histogram,
        "histogram_quantile": _histogram,
        "label_join": _relabel,
        "label_replace": _relabel,
        "round": _bounded,
        "sort": _sort,
        "sort_desc": _sort,
        "timestamp": _timestamp,
        "vector": _constant,
    }


def _only(columns: Columns) -> Floats:
    """The value where exactly one row has one, NaN elsewhere; float64 [steps]."""
    values = np.where(columns.present, columns.values, 0.0).sum(axis=0)
    single: Floats = np.where(columns.present.sum(axis=0) == 1, values, np.nan)
    return single


def _text(node: Node) -> str:
    literal = without_parens(node)
    if not isinstance(literal, Text):
        raise EvaluationError("expected a string literal")
    return literal.value


def _as_samples(columns: Columns, grid: Grid) -> Samples:
    """The values of columns as samples at the steps."""
    starts = np.concatenate(([0], np.cumsum(columns.present.sum(axis=1))))
    times = np.broadcast_to(grid.times, columns.values.shape)[columns.present]
    return Samples(columns.labels, starts.astype(np.int64), times, columns.values[columns.present])
