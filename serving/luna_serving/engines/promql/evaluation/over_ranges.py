"""Functions of range vectors, over windows."""

from collections.abc import Callable, Sequence

import numpy as np

from luna_serving.engines.promql.columns import Columns
from luna_serving.engines.promql.evaluation.notes import Notes
from luna_serving.engines.promql.functions import ranges, rates
from luna_serving.engines.promql.functions.trends import regression
from luna_serving.engines.promql.labels import value_of, without_metadata
from luna_serving.engines.promql.samples import Windows
from luna_serving.engines.promql.series import NAME_LABEL, Bools, Floats, Ints
from luna_serving.engines.promql.sums import means
from luna_serving.engines.promql.syntax.nodes import Call

_TWO = 2
#: They act as an offset, so the name stays.
_KEEP_NAME = ("last_over_time", "first_over_time")
_RATES = {"rate": (True, True), "increase": (True, False), "delta": (False, False)}

_Kernel = Callable[[Floats, Ints, Ints, Callable[[], None]], Floats]

_KERNELS: dict[str, _Kernel] = {
    "avg_over_time": means,
    "changes": lambda values, first, end, _: ranges.transitions(ranges.changed(values), first, end),
    "count_over_time": lambda _values, first, end, _check: (end - first).astype(np.float64),
    "first_over_time": lambda values, first, _end, _check: values[first],
    "last_over_time": lambda values, _first, end, _check: values[end - 1],
    "max_over_time": lambda values, first, end, _: ranges.largest(values, first, end),
    "min_over_time": lambda values, first, end, _: ranges.smallest(values, first, end),
    "present_over_time": lambda _values, first, _end, _check: np.ones(len(first)),
    "resets": lambda values, first, end, _: ranges.transitions(ranges.fell(values), first, end),
    "stddev_over_time": lambda values, first, end, check: np.sqrt(ranges.variances(values, first, end, check)),
    "stdvar_over_time": ranges.variances,
    "sum_over_time": ranges.totals,
}


def evaluate(
    node: Call, windows: Windows, scalars: Sequence[Floats], times_ms: Ints, notes: Notes, check: Callable[[], None]
) -> Columns:
    """A function over windows, but `absent_over_time`.

    Args:
        node: the call.
        windows: its range vector.
        scalars: its other arguments, float64 [steps] each.
        times_ms: int64 [steps], the steps (not moved by an offset).
        notes: gets warnings and infos.
        check: called now and then.
    """
    name = node.function.name
    if name in _RATES:
        counter, per_second = _RATES[name]
        values, present = rates.extrapolated(windows, counter=counter, per_second=per_second)
    elif name in ("irate", "idelta"):
        values, present = rates.instant(windows, per_second=name == "irate")
    else:
        values, present = _over_samples(node, windows, scalars, times_ms, notes, check)
    some = present.any(axis=1)
    if name in ("rate", "increase"):
        for row in np.flatnonzero(some).tolist():
            notes.possible_gauge(value_of(windows.samples.labels[row], NAME_LABEL), node.arguments[0].start)
    labels = windows.samples.labels
    if name not in _KEEP_NAME:
        labels = tuple(without_metadata(one) for one in labels)
    return Columns(labels, values, present).distinct()


def _over_samples(
    node: Call, windows: Windows, scalars: Sequence[Floats], times_ms: Ints, notes: Notes, check: Callable[[], None]
) -> tuple[Floats, Bools]:
    name = node.function.name
    least = _TWO if name in ("deriv", "predict_linear") else 1
    present = windows.end - windows.first >= least
    first, end = windows.first[present], windows.end[present]
    samples = windows.samples

    def spread(per_step: Floats) -> Floats:
        spread: Floats = np.broadcast_to(per_step, present.shape)[present]
        return spread

    if name == "quantile_over_time":
        q = spread(scalars[0])
        for wrong in np.unique(q[np.isnan(q) | (q < 0) | (q > 1)]):
            notes.invalid_quantile(float(wrong), node.arguments[0].start)
        result = ranges.quantiles(q, samples.values, first, end, check)
    elif name == "deriv":
        result, _ = regression(samples, first, end, samples.timestamps[first] if len(first) else first, check)
    elif name == "predict_linear":
        origins = np.broadcast_to(times_ms, present.shape)[present]
        slope, intercept = regression(samples, first, end, origins, check)
        with np.errstate(all="ignore"):
            result = slope * spread(scalars[0]) + intercept
    else:
        with np.errstate(all="ignore"):
            result = _KERNELS[name](samples.values, first, end, check)
    values = np.zeros(present.shape)
    values[present] = result
    return values, present
