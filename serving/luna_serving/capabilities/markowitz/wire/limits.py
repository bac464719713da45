"""Reads constraints."""

from typing import Any, Final

import numpy as np

from luna_serving.capabilities.markowitz.wire.arrays import array, vector
from luna_serving.capabilities.markowitz.wire.schemas import ConstraintsForm
from luna_serving.engines.finance.markowitz.api.problems import Constraints, Floats, Group, Tracking, Turnover
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError

AT: Final = "/constraints"
CARDINALITY: Final = (
    "Limits on the number of assets are not offered: they make the problem combinatorial, and its answer could not be "
    "proved optimal in bounded time. Solve without, then send bounds [0, 0] for the assets with the smallest weights."
)


def refuse_cardinality(document: dict[str, Any]) -> None:
    """Refuse a limit on the number of assets, with the reason.

    Raises:
        Problem: 422.
    """
    constraints = document.get("constraints")
    if isinstance(constraints, dict) and "cardinality" in constraints:
        raise problems.invalid(FieldError(f"{AT}/cardinality", CARDINALITY))


def limits_of(form: ConstraintsForm, n: int, data: str) -> Constraints:
    """The constraints of n assets.

    Args:
        form: as it was sent.
        n: assets.
        data: the member of the body that fixes n.

    Raises:
        Problem: 422.
    """
    lower, upper = _bounds(form.bounds, n, data)
    groups = tuple(_group(g, n, data) for g in enumerate(form.groups))
    turnover = tracking = None
    if form.turnover is not None:
        start = vector(f"{AT}/turnover/from", form.turnover.from_, n, data)
        turnover = Turnover(start, form.turnover.max)
    if form.tracking_error is not None:
        benchmark = vector(f"{AT}/tracking_error/benchmark", form.tracking_error.benchmark, n, data)
        tracking = Tracking(benchmark, form.tracking_error.max)
    return Constraints(lower, upper, groups, turnover, tracking)


def _bounds(value: Any, n: int, data: str) -> tuple[Floats, Floats]:  # noqa: ANN401  JSON
    if value is None:
        return np.zeros(n), np.ones(n)
    at = f"{AT}/bounds"
    found = array(at, value)
    if found.ndim == 1:
        found = np.tile(found, (n, 1)) if len(found) == 2 else found.reshape(-1, 1)
    if len(found) != n:
        raise problems.invalid(FieldError(at, f"Must hold {n} pairs, one per asset of {data}, not {len(found)}."))
    if found.shape[1] != 2:
        raise problems.invalid(FieldError(at, "Must hold pairs: [least, largest] weight per asset."))
    return found[:, 0].copy(), found[:, 1].copy()


def _group(numbered: "tuple[int, Any]", n: int, data: str) -> Group:
    g, form = numbered
    at = f"{AT}/groups/{g}"
    for i, member in enumerate(form.members):
        if member >= n:
            detail = f"Must be an asset of {data}: 0 to {n - 1}."
            raise problems.invalid(FieldError(f"{at}/members/{i}", detail))
    if len(set(form.members)) < len(form.members):
        raise problems.invalid(FieldError(f"{at}/members", "Must name each asset once."))
    if form.min is None and form.max is None:
        raise problems.invalid(FieldError(at, "Must have min, max or both."))
    minimum = -np.inf if form.min is None else form.min
    maximum = np.inf if form.max is None else form.max
    return Group(tuple(form.members), minimum, maximum)
