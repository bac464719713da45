"""Which plan runs which series: from the models, what is missing, and how much there is to do. Pure.

| plan | when the engine takes it |
|---|---|
| shared_gain | series of one model with the same gaps: more than the narrowest batch holds, or means of long ones |
| steady_state | means of long series of one constant model, nothing missing; few need not be as long |
| parallel_in_time | means of one long series of a constant model with gaps |
| square_root | coefficients that never move and start diffuse (`prepared.needs_square_root`) |
| per_series | everything else |

A caller may force one; it is refused where it would not give the same numbers.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.model.observations import collapses
from luna_serving.engines.statespace.plans.per_series import COMPILED_STATES
from luna_serving.engines.statespace.plans.per_series_batch import HEAD
from luna_serving.engines.statespace.recursions.filter import Variant
from luna_serving.engines.statespace.results.refusals import PlanError
from luna_serving.engines.statespace.results.series import Algorithm
from luna_serving.engines.statespace.running.packing import Item, Series, kind_of

# Periods from which cutting a series, or a steady state of many, pays: a few chunks of the filter.
LONG: Final = 16_384
# Periods from which constant gains pay for any number of series; for up to FEW, by their steady state.
LONGISH: Final = 4096
FEW: Final = 4
# Series, and points of all, from which a second core and a leaner loop pay for the rows that run twice over.
MANY: Final = 33
MUCH: Final = 50_000


class Part(NamedTuple):
    """Series that run under one plan."""

    plan: Algorithm
    places: tuple[int, ...]
    lanes: bool = False  # per_series by `per_series_batch`, for means of many series


def choose(items: Sequence[Item], variant: Variant, forced: Algorithm | None) -> Iterator[Part]:
    """Cut a call into parts.

    Raises:
        PlanError: the forced plan does not fit.
    """
    if forced in {"per_series", "square_root"}:
        yield Part(forced, tuple(range(len(items))))
        return
    rest: list[int] = []
    alike: dict[Model, list[int]] = {}
    for place, (_, model) in enumerate(items):
        alike.setdefault(model, []).append(place)
    for model, places in alike.items():
        series = [items[place][0] for place in places]
        plan = _plan(model, series, variant) if forced is None else _forced(model, series, variant, forced)
        if plan == "per_series":
            rest += places
        elif plan == "parallel_in_time":
            yield from (Part(plan, (place,)) for place in places)
        else:
            yield Part(plan, tuple(places))
    if variant == "means" and forced is None:
        for many in _many(items, rest):
            yield Part("per_series", many, lanes=True)
            taken = set(many)
            rest = [place for place in rest if place not in taken]
    if rest:
        yield Part("per_series", tuple(rest))


def _many(items: Sequence[Item], places: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """The places of models of the same few states, where there are many series and much to do."""
    of_states: dict[int, list[int]] = {}
    for place in places:
        y, model = items[place]
        if model.observed == 1 and model.length is None and model.states in COMPILED_STATES and len(y) > HEAD:
            of_states.setdefault(model.states, []).append(place)
    for alike in of_states.values():
        points = sum(len(items[place][0]) for place in alike)
        # Shorter ones wait for the longest: not more than they have themselves.
        longest = max(len(items[place][0]) for place in alike)
        if len(alike) >= MANY and points >= MUCH and longest * len(alike) <= 2 * points:
            yield tuple(alike)


def _plan(model: Model, series: Sequence[Series], variant: Variant) -> Algorithm:
    kind = kind_of(model)
    if kind.root or collapses(model):
        return "per_series"
    longest = max(map(len, series))
    if variant == "means" and longest >= (LONGISH if len(series) <= FEW else LONG) and model.length is None:
        if _equally_long(series) and not _any_missing(series):
            return "steady_state"
        if longest >= LONG and len(series) == 1 and model.observed == 1 and model.states in COMPILED_STATES:
            return "parallel_in_time"
    narrowest = kind.buckets(variant if variant in kind.variants else "full").widths[0]
    if len(series) > narrowest and (variant == "means" or model.observed == 1) and _same_gaps(series):
        return "shared_gain"
    compiled = model.observed == 1 and model.states in COMPILED_STATES and model.length is None
    if len(series) > 1 and variant == "means" and longest >= LONGISH and compiled and not _any_missing(series):
        return "shared_gain"
    return "per_series"


def _forced(model: Model, series: Sequence[Series], variant: Variant, plan: Algorithm) -> Algorithm:
    if kind_of(model).root:
        raise PlanError(f"{plan} would lose the digits of this model's coefficients: leave the choice to the engine")
    if collapses(model):
        raise PlanError(f"{plan} does not serve models that observe more than they have states")
    if plan == "shared_gain":
        if not _same_gaps(series):
            raise PlanError("shared_gain needs series that miss the same points; send them in separate calls")
        if variant == "full" and model.observed > 1:
            raise PlanError("shared_gain answers the filtered_state only where several elements are observed")
        return plan
    if variant == "full":
        raise PlanError(f"{plan} answers the filtered_state only: ask for no other output")
    if model.length is not None:
        raise PlanError(f"{plan} needs a model that does not vary in time")
    if plan == "steady_state" and (_any_missing(series) or not _equally_long(series)):
        raise PlanError("steady_state needs series of one length, none of them missing a point")
    if plan == "parallel_in_time" and (model.observed > 1 or model.states not in COMPILED_STATES):
        raise PlanError(f"parallel_in_time needs one observed element and at most {COMPILED_STATES[-1]} states")
    return plan


def _equally_long(series: Sequence[Series]) -> bool:
    return len({len(y) for y in series}) == 1


def _any_missing(series: Sequence[Series]) -> bool:
    with np.errstate(over="ignore"):
        return any(map(_misses, series))


def _misses(y: Series) -> bool:
    """Whether a point is NaN: then the sum of all squares is, which is faster than testing each point."""
    flat = y if y.ndim == 1 else y.reshape(-1)
    squares = flat.dot(flat)
    return bool(squares != squares)  # only of NaN; np.isnan takes ten times as long for one number


def _same_gaps(series: Sequence[Series]) -> bool:
    """Whether each series misses what the longest one misses as far as it goes."""
    longest = max(series, key=len)
    if not _any_missing([longest]):
        return not _any_missing(series)
    missing = np.isnan(longest)
    return all(np.array_equal(np.isnan(y), missing[: len(y)]) for y in series)
