"""Regressors: a state for each coefficient, and the rows that are not known."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.kinds.blocks import Block
from luna_serving.engines.statespace.kinds.fields import refuse_more_states
from luna_serving.engines.statespace.model.checks import ModelError, variance

Floats = NDArray[np.float64]
AT: Final = "/regression/regressors"


def regression(words: Mapping[str, Any]) -> Block:
    """Regressors [T, k], one row per period, with a state for each coefficient; `var` lets them walk.

    A row that is null, or holds one, is not known: no observation and no forecast can be explained by it.
    """
    regressors = regressor_rows(words)
    k = regressors.shape[1]
    refuse_more_states(AT, k, "use fewer regressors")
    var = words.get("var")
    walks: tuple[float, ...] = ()
    if isinstance(var, list | tuple):
        if len(var) != k:
            raise ModelError("/regression/var", f"must hold one variance for each of {k} coefficients; got {len(var)}")
        walks = tuple(variance(f"/regression/var/{i}", each) for i, each in enumerate(var))
    elif var is not None:
        walks = (variance("/regression/var", var),) * k
    names = tuple(f"beta.x{i + 1}" for i in range(k))
    unknown = _unknown(words["regressors"], regressors)
    if unknown.all():
        raise ModelError(AT, "must hold at least one known row")
    design = np.where(unknown[:, None], 0.0, regressors)
    shocked = tuple(range(len(walks)))
    return Block(AT, names, np.eye(k), design, shocked, walks, unknown=tuple(np.flatnonzero(unknown).tolist()))


def regressor_rows(words: Mapping[str, Any]) -> Floats:
    """The regressors [T, k] as they were sent, NaN where they are null.

    Raises:
        ModelError: they are not rows of numbers, all of the same length.
    """
    rows = words["regressors"]
    try:
        array = np.array(_filled(rows), dtype=np.float64)
    except (TypeError, ValueError) as cause:
        raise ModelError(AT, "must be rows of numbers, all of the same length") from cause
    if array.ndim != 2 or 0 in array.shape:
        raise ModelError(AT, "must hold one row a period, with one number a regressor")
    return array


def _filled(rows: Sequence[Any]) -> Sequence[Any]:
    """The rows, with a row of nulls for each that is null itself."""
    if not any(row is None for row in rows):
        return rows
    width = next((len(row) for row in rows if row is not None), 1)
    return [[None] * width if row is None else row for row in rows]


def _unknown(rows: Sequence[Sequence[float | None] | None], regressors: Floats) -> NDArray[np.bool_]:
    """Which rows [T] are null, or hold a null; NaN is neither."""
    unknown = np.zeros(len(regressors), dtype=np.bool_)
    for t in np.flatnonzero(np.isnan(regressors).any(axis=1)).tolist():
        row = rows[t]
        unknown[t] = row is None or any(each is None for each in row)
    return unknown
