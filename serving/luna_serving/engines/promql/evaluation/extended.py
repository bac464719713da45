"""Calls of extensions."""

from collections.abc import Callable, Sequence

import numpy as np

from luna_serving.engines.promql.columns import SAME_LABELS, Columns
from luna_serving.engines.promql.errors import EvaluationError
from luna_serving.engines.promql.extensions import Extension, ExtensionCall
from luna_serving.engines.promql.labels import sorted_labels
from luna_serving.engines.promql.samples import Samples, latest
from luna_serving.engines.promql.series import Floats, Ints, Series


def extended(
    extension: Extension,
    samples: Samples,
    times_ms: Ints,
    lookback_ms: int,
    arguments: Sequence[Floats | str],
    check: Callable[[], None],
) -> Columns:
    """What an extension computes.

    Args:
        extension: the function.
        samples: of its selector, with staleness markers.
        times_ms: int64 [steps], moved by the selector's modifiers.
        lookback_ms: a sample this old is no value of the selector.
        arguments: the others.
        check: called now and then.

    Raises:
        EvaluationError: an argument out of its range; two series with the same labels.
    """
    values, rows = (
        np.zeros((len(samples.labels), len(times_ms))),
        {labels: i for i, labels in enumerate(samples.labels)},
    )
    live = np.zeros(values.shape, dtype=np.bool_)
    columns, _ = latest(samples, times_ms, lookback_ms)
    for labels, present in zip(columns.labels, columns.present, strict=True):
        live[rows[labels]] = present
    kept = samples.without(samples.stale())
    series = tuple(
        Series(dict(labels), kept.timestamps[begin:end], kept.values[begin:end])
        for labels, begin, end in zip(kept.labels, kept.starts[:-1], kept.starts[1:], strict=True)
    )
    try:
        answer = extension.compute(ExtensionCall(series, live, times_ms, arguments, check))
    except ValueError as wrong:
        raise EvaluationError(f"{extension.name}(): {wrong}") from wrong
    if not answer:
        return Columns.empty(len(times_ms))
    names = tuple(sorted_labels(one.labels) for one in answer)
    if len(set(names)) != len(names):
        raise EvaluationError(SAME_LABELS)
    table = np.array([one.values for one in answer], dtype=np.float64)
    return Columns(names, table, np.array([one.present for one in answer], dtype=np.bool_)).occupied()
