"""Binary operators between columns and scalars, and between columns by matching labels."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from luna_serving.engines.promql.columns import Columns
from luna_serving.engines.promql.errors import EvaluationError, LimitExceeded
from luna_serving.engines.promql.functions.elementwise import ARITHMETIC, COMPARISONS
from luna_serving.engines.promql.labels import METADATA, Labels, drop, keep, replaced, shown, value_of, without_metadata
from luna_serving.engines.promql.series import NAME_LABEL, Bools, Floats, Ints
from luna_serving.engines.promql.syntax.nodes import Binary, Cardinality, Matching

_TWO = 2


def scalars(operator: str, left: Floats, right: Floats) -> Floats:
    """An operator between scalars, float64 [steps]; comparisons give 0 and 1."""
    with np.errstate(all="ignore"):
        if operator in COMPARISONS:
            return COMPARISONS[operator](left, right).astype(np.float64)
        return ARITHMETIC[operator](left, right)


def with_scalar(node: Binary, columns: Columns, scalar: Floats, *, scalar_left: bool) -> Columns:
    """An operator between a vector and a scalar, float64 [steps]. A comparison keeps elements of the vector."""
    left, right = (scalar, columns.values) if scalar_left else (columns.values, scalar)
    with np.errstate(all="ignore"):
        if node.operator not in COMPARISONS:
            values = ARITHMETIC[node.operator](left, right)
            return Columns(columns.labels, values, columns.present).relabelled(without_metadata)
        holds = COMPARISONS[node.operator](left, right)
    if node.return_bool:
        return Columns(columns.labels, holds.astype(np.float64), columns.present).relabelled(without_metadata)
    return Columns(columns.labels, columns.values, columns.present & holds).occupied().joined()


def signature(matching: Matching) -> Callable[[Labels], Labels]:
    """What must agree for elements to match."""
    if matching.on:
        return lambda labels: keep(labels, matching.labels)
    return lambda labels: drop(labels, (*matching.labels, NAME_LABEL))


@dataclass(frozen=True, slots=True)
class _Sides:
    """Both operands with the numbers of their rows' signatures."""

    left: Columns
    right: Columns
    of_left: Ints
    of_right: Ints
    count: int

    @classmethod
    def of(cls, matching: Matching, left: Columns, right: Columns) -> "_Sides":
        sign = signature(matching)
        numbers: dict[Labels, int] = {}
        of_left, of_right = (
            np.array([numbers.setdefault(sign(labels), len(numbers)) for labels in side.labels], dtype=np.int64)
            for side in (left, right)
        )
        return cls(left, right, of_left, of_right, len(numbers))

    def any_of(self, side: Columns, numbers: Ints) -> Bools:
        """Whether a signature has an element of a side, bool [signatures, steps]."""
        some = np.zeros((self.count, side.present.shape[1]), dtype=np.bool_)
        np.logical_or.at(some, numbers, side.present)
        return some


def sets(node: Binary, left: Columns, right: Columns) -> Columns:
    """`and`, `or`, `unless`."""
    sides = _Sides.of(node.matching, left, right)
    if node.operator == "or":
        missing = right.present & ~sides.any_of(left, sides.of_left)[sides.of_right]
        values = np.concatenate((left.values, right.values))
        both = Columns((*left.labels, *right.labels), values, np.concatenate((left.present, missing)))
        return both.occupied().joined()
    found = sides.any_of(right, sides.of_right)[sides.of_left]
    present = left.present & (found if node.operator == "and" else ~found)
    return Columns(left.labels, left.values, present).occupied().joined()


def vectors(node: Binary, left: Columns, right: Columns, largest: int) -> Columns:
    """Arithmetic and comparisons between vectors.

    Args:
        node: the operation.
        left: operand.
        right: operand.
        largest: how many values the result may have.

    Raises:
        EvaluationError: several elements match where one must.
        LimitExceeded: too many pairs.
    """
    matching = node.matching
    swapped = matching.cardinality is Cardinality.ONE_TO_MANY
    many, one = (right, left) if swapped else (left, right)
    sides = _Sides.of(matching, many, one)
    _check_one_side(matching, sides, "left" if swapped else "right")
    rows_many, rows_one = _pairs(sides)
    steps = many.values.shape[1]
    if len(rows_many) * steps > largest:
        raise LimitExceeded(
            "query processing would load too many samples into memory in query execution", "samples", largest
        )
    matched = many.present[rows_many] & one.present[rows_one]
    met = matched.any(axis=1)
    rows_many, rows_one, matched = rows_many[met], rows_one[met], matched[met]
    values_many, values_one = many.values[rows_many], one.values[rows_one]
    first, second = (values_one, values_many) if swapped else (values_many, values_one)
    with np.errstate(all="ignore"):
        if node.operator in COMPARISONS:
            holds = COMPARISONS[node.operator](first, second)
            values = holds.astype(np.float64) if node.return_bool else first
        else:
            holds = np.ones(matched.shape, dtype=np.bool_)
            values = ARITHMETIC[node.operator](first, second)
    labels = _result_labels(node, many, one, rows_many, rows_one)
    _check_matches(matching, sides, rows_many, labels, matched)
    present = matched if node.return_bool else matched & holds
    return Columns(labels, values, present).occupied().joined()


def _pairs(sides: _Sides) -> tuple[Ints, Ints]:
    """The rows of the many and of the one side that have the same signature, in the order of the many side."""
    order = np.argsort(sides.of_right, kind="stable")
    ordered = sides.of_right[order]
    begin = np.searchsorted(ordered, sides.of_left, side="left")
    counts = np.searchsorted(ordered, sides.of_left, side="right") - begin
    rows_many = np.repeat(np.arange(len(sides.of_left)), counts)
    within = np.arange(len(rows_many)) - np.repeat(np.cumsum(counts) - counts, counts)
    return rows_many, order[np.repeat(begin, counts) + within]


def _check_one_side(matching: Matching, sides: _Sides, name: str) -> None:
    """Refuse two elements of the one side with the same signature at a step at which both sides have elements."""
    if len(set(sides.of_right.tolist())) == len(sides.of_right):
        return
    counts = np.zeros((sides.count, sides.right.present.shape[1]), dtype=np.int64)
    np.add.at(counts, sides.of_right, sides.right.present)
    twice = (counts >= _TWO) & sides.left.present.any(axis=0)
    if not twice.any():
        return
    step = int(np.flatnonzero(twice.any(axis=0))[0])
    number = int(np.flatnonzero(twice[:, step])[0])
    rows = np.flatnonzero((sides.of_right == number) & sides.right.present[:, step])[:2]
    first, second = sorted(shown(sides.right.labels[row]) for row in rows)
    group = shown(signature(matching)(sides.right.labels[rows[0]]))
    raise EvaluationError(
        f"found duplicate series for the match group {group} on the {name} hand-side of the operation: "
        f"[{first}, {second}];many-to-many matching not allowed: matching labels must be unique on one side"
    )


def _check_matches(matching: Matching, sides: _Sides, rows_many: Ints, labels: list[Labels], matched: Bools) -> None:
    """Refuse two matches of one signature at a step, unless grouping makes them distinct."""
    numbers = sides.of_left[rows_many].tolist()
    grouped = matching.cardinality is not Cardinality.ONE_TO_ONE
    keys = list(zip(numbers, labels, strict=True)) if grouped else numbers
    if len(set(keys)) == len(keys):
        return
    taken: dict[object, Bools] = {}
    for key, row in zip(keys, matched, strict=True):
        before = taken.get(key)
        if before is None:
            taken[key] = row
            continue
        if (before & row).any():
            if grouped:
                raise EvaluationError("multiple matches for labels: grouping labels must ensure unique matches")
            raise EvaluationError(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            )
        taken[key] = before | row


def _result_labels(node: Binary, many: Columns, one: Columns, rows_many: Ints, rows_one: Ints) -> list[Labels]:
    matching = node.matching
    renamed = node.return_bool or node.operator in ARITHMETIC
    removed = set(METADATA) if renamed else set()
    if matching.cardinality is Cardinality.ONE_TO_ONE and not matching.on:
        removed |= set(matching.labels)
    kept_only = matching.cardinality is Cardinality.ONE_TO_ONE and matching.on
    labels = []
    for row_many, row_one in zip(rows_many.tolist(), rows_one.tolist(), strict=True):
        result = many.labels[row_many]
        if removed:
            result = drop(result, removed)
        if kept_only:
            result = keep(result, matching.labels)
        if matching.include:
            result = replaced(result, ((name, value_of(one.labels[row_one], name)) for name in matching.include))
        labels.append(result)
    return labels
