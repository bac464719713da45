"""The engine's own passes in float64, checked series by series; where they lack digits, multi-precision answers.

Series of one model that miss the same points lose the same digits: one of them is run twice (`soundness`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

import numpy as np

from luna_serving.engines.statespace.model.memo import once_per_model
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.process.deadline import Clock, never
from luna_serving.engines.statespace.recursions.filter import Variant
from luna_serving.engines.statespace.results.refusals import Unanswered
from luna_serving.engines.statespace.results.saved import Saved
from luna_serving.engines.statespace.results.series import Convention, ForecastResult, SeriesResult
from luna_serving.engines.statespace.running.answers import forecast_results, series_results
from luna_serving.engines.statespace.running.contradictions import skips
from luna_serving.engines.statespace.running.packing import Item, group
from luna_serving.engines.statespace.running.passes import Passed, backward_pass, forward_pass
from luna_serving.engines.statespace.soundness.diffuse import tells_apart
from luna_serving.engines.statespace.soundness.impossible import violations
from luna_serving.engines.statespace.soundness.plain import is_plain, lacks_units
from luna_serving.engines.statespace.soundness.twins import agree, forecasts_agree

Starts = Sequence[Saved | None] | None

# Periods of a series that show whether the model's filter has digits: covariances have settled by then, or never will.
TELLING: Final = 4096
# A series that ends before its start is resolved goes by multi-precision, which separates a direction that decays from
# one that is gone, if that takes at most OPEN_S; the seconds of a period, and of a product of states, are measured.
OPEN_S: Final = 0.5
PERIOD_S: Final = 30e-6
PRODUCT_S: Final = 1.3e-7


IMPOSSIBLE: Final = (
    "cannot be answered: the results contradict each other even in multi-precision. Check that variances and series "
    "are in comparable units"
)


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked of series."""

    variant: Variant = "full"
    loglike: Convention = "full"
    smooth: bool = False
    later: bool = False
    """With what later observations say, r and N."""
    root: bool | None = None
    """Forces or forbids the square-root filter."""
    out_of_time: Clock = never


@dataclass(slots=True, eq=False)
class Checked:
    """Results in order, those that float64 cannot answer by multi-precision."""

    results: list[SeriesResult]
    batches: list[Passed]
    twins: list[tuple[tuple[int, ...], SeriesResult]] = field(default_factory=list)
    """Places of series that lose the same digits, and the first one's result in other units; sound ones only."""
    unsound: list[tuple[int, ...]] = field(default_factory=list)
    """Places of series that go by multi-precision together."""


def run(items: Sequence[Item], starts: Starts, work: Work) -> Checked:
    """Filter, and perhaps smooth, each series.

    Raises:
        OutOfTime: the time is over.
        Unanswered: even multi-precision does not answer.
    """
    checked, results = _in_float64(items, starts, work)
    for places in checked.unsound:
        results.update(zip(places, _exactly(items, starts, places, work), strict=True))
    checked.results = [results[place] for place in range(len(items))]
    return checked


def unsound(items: Sequence[Item], work: Work) -> list[tuple[int, ...]]:
    """The places of series that `run` would answer in multi-precision, alike ones together; computes float64 only.

    Raises:
        OutOfTime: the time is over.
    """
    checked, _ = _in_float64(items, None, work)
    return checked.unsound


def require_possible(results: Sequence[SeriesResult]) -> None:
    """Refuse results of multi-precision that contradict each other.

    Raises:
        Unanswered: they do.
    """
    if violations(results).any():
        raise Unanswered(IMPOSSIBLE)


def _in_float64(items: Sequence[Item], starts: Starts, work: Work) -> tuple[Checked, dict[int, SeriesResult]]:
    """The results of float64 by place, and which of them lack digits; those that it does not run have none."""
    exact, alike, plain = _sorted(items, starts, smooth=work.smooth)
    results: dict[int, SeriesResult] = {}
    checked = Checked([], [], unsound=exact)
    if plain and (work.variant == "means" or not alike):
        found, checked.batches = _passed([items[p] for p in plain], work.variant, _picked(starts, plain), work, ())
        results.update(zip(plain, found, strict=True))
        plain = []
    if alike:
        # In order of their places: neighbours in a batch are then the same for every task.
        order = sorted([*plain, *(place for places in alike for place in places)])
        twins, batches = _watched(items, starts, work, alike, order, results)
        checked.batches = [*checked.batches, *batches]
        for places, twin in zip(alike, twins, strict=True):
            if twin is not None:
                checked.twins.append((places, twin))
            else:
                checked.unsound.append(places)
    return checked, results


def lacks_digits(items: Sequence[Item], work: Work) -> bool:
    """Whether the filter of the model of these series does, by the longest of them."""
    return _faults(items, work).lacks_digits


def needs_watching(items: Sequence[Item], work: Work) -> bool:
    """Whether other plans than `run` are unfit for these series: their filter lacks digits, or skips observations.

    Which of those that a filter skips contradict the model is looked at series by series.
    """
    return any(_faults(items, work))


class _Faults(NamedTuple):
    """What the filter of a model does to series with the same gaps."""

    lacks_digits: bool
    skips: bool
    """Some observation is skipped; not looked at where digits lack."""


def _faults(items: Sequence[Item], work: Work) -> _Faults:
    y, model = max(items, key=lambda item: len(item[0]))
    if is_plain(model):
        return _Faults(lacks_digits=False, skips=False)
    size = min(len(y), TELLING)
    known, key = _known_faults(model), (size, hash(np.isnan(y[:size]).tobytes()))
    if key not in known:
        checked, results = _in_float64([(y[:size], model)], None, work)
        lacking = bool(checked.unsound)
        skipping = not lacking and any(each.full is not None and skips(each.full) for each in results.values())
        known[key] = _Faults(lacking, skipping)
    return known[key]


@once_per_model
def _known_faults(_model: Model) -> dict[tuple[int, int], _Faults]:
    """By the length and the gaps of a series; filled by `_faults`."""
    return {}


def forecasts(
    items: Sequence[Item], starts: Starts, steps: Sequence[int], work: Work
) -> tuple[list[ForecastResult], list[Passed]]:
    """Filter and forecast each series.

    Raises:
        OutOfTime: the time is over.
        Unanswered: even multi-precision does not answer.
    """
    checked = run(items, starts, work)
    answers = forecast_results(steps, checked.results)
    unsound = list(checked.unsound)
    if checked.twins:
        firsts = [places[0] for places, _ in checked.twins]
        others = forecast_results([steps[first] for first in firsts], [twin for _, twin in checked.twins])
        for (places, _), first, other in zip(checked.twins, firsts, others, strict=True):
            if not forecasts_agree(answers[first], other):
                unsound.append(places)
    if unsound:
        # Imported here: a process that needs no multi-precision need not load it.
        from luna_serving.engines.statespace.multiprecision import plan

        for places in unsound:
            own = [items[place] for place in places]
            most = max(steps[place] for place in places)
            start = None if starts is None else starts[places[0]]
            ahead = plan.forecasts(own, most, start=start, loglike=work.loglike, out_of_time=work.out_of_time)
            for place, each in zip(places, ahead, strict=True):
                answers[place] = each.until(steps[place])
    return answers, checked.batches


def _sorted(
    items: Sequence[Item], starts: Starts, *, smooth: bool
) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]], list[int]]:
    """Places that must go by multi-precision; those to be watched, alike ones together; and those that need not."""
    resumed: list[tuple[int, ...]] = []
    exact: dict[object, list[int]] = {}
    alike: dict[object, list[int]] = {}
    plain: list[int] = []
    for place, (y, model) in enumerate(items):
        start = starts[place] if starts else None
        if start is not None and start.digits:
            resumed.append((place,))
        elif (is_plain(model) and not smooth) or not len(y):
            plain.append(place)
        elif start is not None:
            alike[place] = [place]
        else:
            key = (id(model), len(y), np.isnan(y).tobytes())
            (exact if lacks_units(model) else alike).setdefault(key, []).append(place)
    watched = [_largest_first(items, places) for places in alike.values()]
    return [*resumed, *map(tuple, exact.values())], watched, plain


def _largest_first(items: Sequence[Item], places: list[int]) -> tuple[int, ...]:
    """The means of the largest series lose the most."""
    if len(places) == 1:
        return tuple(places)
    sizes = [float(np.abs(np.nan_to_num(items[place][0])).max(initial=0.0)) for place in places]
    first = int(np.argmax(sizes))
    return (places[first], *places[:first], *places[first + 1 :])


def _is_sound(items: Sequence[Item], starts: Starts, place: int, result: SeriesResult, twin: SeriesResult) -> bool:
    if not agree(result, twin) or violations([result]).any():
        return False
    begins = starts is None or starts[place] is None
    y, model = items[place]
    full, saved = result.full, result.saved
    if saved is not None and saved.rank and not np.isnan(y).all():
        affordable = len(y) * (PERIOD_S + PRODUCT_S * model.states**3) <= OPEN_S
        if affordable:
            return False
    return not begins or full is None or tells_apart(model, y, full.nobs_diffuse)


def _watched(
    items: Sequence[Item],
    starts: Starts,
    work: Work,
    alike: Sequence[tuple[int, ...]],
    order: Sequence[int],
    results: dict[int, SeriesResult],
) -> tuple[list[SeriesResult | None], list[Passed]]:
    """Fill in the results of the places in `order`; return those of the first of each `alike` in other units.

    None where the two disagree.
    """
    places = [*order, *(each[0] for each in alike)]
    twins = range(len(order), len(places))
    found, batches = _passed([items[place] for place in places], "full", _picked(starts, places), work, twins)
    results.update(zip(order, found, strict=False))
    return [
        twin if _is_sound(items, starts, each[0], results[each[0]], twin) else None
        for each, twin in zip(alike, found[len(order) :], strict=True)
    ], batches


def _picked(starts: Starts, places: Sequence[int]) -> Starts:
    return None if starts is None else [starts[place] for place in places]


def _passed(
    items: Sequence[Item], variant: Variant, starts: Starts, work: Work, twins: range | tuple[()]
) -> tuple[list[SeriesResult], list[Passed]]:
    results: dict[int, SeriesResult] = {}
    batches: list[Passed] = []
    for part in group(items, variant, work.root):
        passed = forward_pass(items, part, starts, keep=work.smooth, twins=twins, out_of_time=work.out_of_time)
        if work.smooth:
            backward_pass(passed, later=work.later, out_of_time=work.out_of_time)
        results.update(zip(part.places, series_results(passed, work.loglike), strict=True))
        batches.append(passed)
    return [results[place] for place in range(len(items))], batches


def _exactly(items: Sequence[Item], starts: Starts, places: Sequence[int], work: Work) -> list[SeriesResult]:
    # Imported here: a process that needs no multi-precision need not load it.
    from luna_serving.engines.statespace.multiprecision import plan

    def go_on(rest: Sequence[Item], from_: Sequence[Saved]) -> list[SeriesResult] | None:
        results: dict[int, SeriesResult] = {}
        order = range(len(rest))
        (twin,), _ = _watched(rest, from_, replace(work, root=False), [tuple(order)], order, results)
        return None if twin is None else [results[place] for place in order]

    start = None if starts is None else starts[places[0]]
    own = [items[place] for place in places]
    found = plan.results(
        own, start=start, loglike=work.loglike, smooth=work.smooth, out_of_time=work.out_of_time, go_on=go_on
    )
    require_possible(found)
    return found
