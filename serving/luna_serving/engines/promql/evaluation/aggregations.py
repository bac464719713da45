"""Aggregations over the rows of columns, by groups of labels."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from luna_serving.engines.promql.columns import Columns
from luna_serving.engines.promql.errors import EvaluationError
from luna_serving.engines.promql.evaluation.notes import Notes
from luna_serving.engines.promql.evaluation.ranking import clear_ranks, ranked
from luna_serving.engines.promql.functions import ranges
from luna_serving.engines.promql.functions.numbers import general, positional
from luna_serving.engines.promql.labels import Labels, drop, keep, replaced
from luna_serving.engines.promql.series import NAME_LABEL, Floats, Ints
from luna_serving.engines.promql.sums import means
from luna_serving.engines.promql.syntax.nodes import Aggregation
from luna_serving.engines.promql.syntax.tokens import go_quote

_LARGEST_INT = 2.0**63

#: (values, first, end, check) -> one value per window.
_Kernel = Callable[[Floats, Ints, Ints, Callable[[], None]], Floats]

_KERNELS: dict[str, _Kernel] = {
    "sum": ranges.totals,
    "avg": means,
    "min": lambda values, first, end, _: ranges.smallest(values, first, end),
    "max": lambda values, first, end, _: ranges.largest(values, first, end),
    "count": lambda _values, first, end, _check: (end - first).astype(np.float64),
    "group": lambda _values, first, _end, _check: np.ones(len(first)),
    "stdvar": ranges.plain_variances,
    "stddev": lambda values, first, end, check: np.sqrt(ranges.plain_variances(values, first, end, check)),
}


@dataclass(frozen=True, slots=True)
class Groups:
    """Rows by group.

    Attributes:
        labels: per group, in the order of their first row.
        of_row: int64 [rows].
    """

    labels: Sequence[Labels]
    of_row: Ints


def group_labels(labels: Labels, node: Aggregation) -> Labels:
    """The labels of the group that a series belongs to."""
    if node.without:
        return drop(labels, (*node.grouping, NAME_LABEL))
    return keep(labels, node.grouping) if node.grouping else ()


def grouped(columns: Columns, node: Aggregation) -> Groups:
    """The groups of the rows of columns."""
    found: dict[Labels, int] = {}
    of_row = [found.setdefault(group_labels(labels, node), len(found)) for labels in columns.labels]
    return Groups(tuple(found), np.array(of_row, dtype=np.int64))


def aggregate(
    node: Aggregation, columns: Columns, parameter: Floats, notes: Notes, check: Callable[[], None]
) -> Columns:
    """All aggregations but `count_values`.

    Args:
        node: what to compute.
        columns: the operand.
        parameter: float64 [steps]; zeros if the aggregation has none.
        notes: gets warnings.
        check: called now and then.
    """
    if node.operator in ("topk", "bottomk"):
        return _extreme(node, columns, parameter, check)
    if node.operator == "quantile" and node.parameter is not None:
        _warn_quantiles(parameter, node.parameter.start, notes)
    groups = grouped(columns, node)
    steps = columns.values.shape[1]
    if not len(columns.labels):
        return Columns.empty(steps)
    # Values ordered by step, group and row: each group at each step is a window.
    order = np.argsort(groups.of_row, kind="stable")
    begins = np.searchsorted(groups.of_row[order], np.arange(len(groups.labels)))
    present = columns.present[order].T
    flat = columns.values[order].T[present]
    counts = np.add.reduceat(present.astype(np.int64), begins, axis=1).ravel()
    ends = np.cumsum(counts)
    some = counts > 0
    first, end = (ends - counts)[some], ends[some]
    if node.operator == "quantile":
        q = np.repeat(parameter, len(groups.labels))[some]
        result = ranges.quantiles(q, flat, first, end, check)
    else:
        result = _KERNELS[node.operator](flat, first, end, check)
    values = np.zeros(len(counts))
    values[some] = result
    shape = (steps, len(groups.labels))
    return Columns(groups.labels, values.reshape(shape).T, some.reshape(shape).T).occupied()


def _warn_quantiles(q: Floats, start: int, notes: Notes) -> None:
    if np.isnan(q).any():
        notes.invalid_quantile(float("nan"), start)
    if q.max() > 1:
        notes.invalid_quantile(float(q.max()), start)
    if q.min() < 0:
        notes.invalid_quantile(float(q.min()), start)


def _extreme(node: Aggregation, columns: Columns, k: Floats, check: Callable[[], None]) -> Columns:
    steps = columns.values.shape[1]
    if k.max() < 1:
        return Columns.empty(steps)
    if np.isnan(k).any():
        raise EvaluationError("Parameter value is NaN")
    if k.min() <= -_LARGEST_INT:
        raise EvaluationError(f"Scalar value {general(k.min())} underflows int64")
    if k.max() >= _LARGEST_INT:
        raise EvaluationError(f"Scalar value {general(k.max())} overflows int64")
    counts = np.clip(np.trunc(k), 0, len(columns.labels)).astype(np.int64)
    groups = grouped(columns, node)
    kept = np.zeros_like(columns.present)
    order: list[int] = []
    for group in range(len(groups.labels)):
        check()
        rows = np.flatnonzero(groups.of_row == group)
        values = columns.values[rows] if node.operator == "topk" else -columns.values[rows]
        kept[rows], undecided = clear_ranks(values, columns.present[rows], counts)
        for step in range(1) if steps == 1 else np.flatnonzero(undecided):
            there = columns.present[rows, step]
            best = rows[there][ranked(values[there, step], int(counts[step]))]
            kept[rows, step] = False
            kept[best, step] = True
            if steps == 1:
                order += best.tolist()
    if steps == 1:
        return Columns(columns.labels, columns.values, kept).rows(order)
    return Columns(columns.labels, columns.values, kept).occupied()


def count_values(node: Aggregation, columns: Columns, label: str, check: Callable[[], None]) -> Columns:
    """How many elements of each group have each value.

    Raises:
        EvaluationError: the label has no name.
    """
    if not label:
        raise EvaluationError(f"invalid label name {go_quote(label)}")
    steps = columns.values.shape[1]
    counts: dict[Labels, Floats] = {}
    for labels, row, present in zip(columns.labels, columns.values, columns.present, strict=True):
        check()
        where = np.flatnonzero(present)
        # By bits: 0 and -0 are two values.
        bits, inverse = np.unique(row[where].view(np.int64), return_inverse=True)
        for index, value in enumerate(bits.view(np.float64)):
            marked = replaced(labels, ((label, positional(float(value))),))
            if node.without:
                target = drop(marked, (*node.grouping, NAME_LABEL))
            else:
                target = keep(marked, (*node.grouping, label))
            counts.setdefault(target, np.zeros(steps))[where[inverse == index]] += 1
    if not counts:
        return Columns.empty(steps)
    table = np.array(list(counts.values()))
    return Columns(tuple(counts), table, table > 0)
