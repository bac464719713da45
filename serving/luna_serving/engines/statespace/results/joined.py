"""One series' results from two passes, the second from where the first ended."""

from dataclasses import fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.results.disturbances import state_disturbances
from luna_serving.engines.statespace.results.series import (
    FullOutputs,
    SeriesResult,
    SignalMoments,
    SmoothedOutputs,
    signal_moments,
)

Part = TypeVar("Part", FullOutputs, SmoothedOutputs, SignalMoments)
# The state after the last observation is predicted too: the second pass begins with it.
ONE_MORE = frozenset({"predicted_state", "predicted_state_cov"})


def joined(head: SeriesResult, rest: SeriesResult) -> SeriesResult:
    """The whole series; the plan is the head's."""
    full, more = head.full, rest.full
    assert full is not None  # noqa: S101  both were filtered in full
    assert more is not None  # noqa: S101  likewise
    first = len(head.filtered_state) + (head.saved.period - len(head.filtered_state) if head.saved else 0)
    more = replace(
        more, filtered_signal=signal_moments(rest.model, rest.filtered_state, more.filtered_state_cov, first)
    )
    whole = replace(
        _concatenated(full, more),
        loglike=full.loglike + more.loglike,
        nobs_diffuse=max(full.nobs_diffuse, more.nobs_diffuse),
    )
    smoothed = None
    if head.smoothed is not None and rest.smoothed is not None:
        later = rest.smoothed
        later = replace(
            later,
            signal=signal_moments(rest.model, later.smoothed_state, later.smoothed_state_cov, first),
            state_disturbance_var=None if later.score is None else state_disturbances(rest).variance,
        )
        smoothed = _concatenated(head.smoothed, later)
    return SeriesResult(
        head.model,
        np.concatenate([head.filtered_state, rest.filtered_state]),
        head.finite and rest.finite,
        whole,
        smoothed,
        rest.saved,
        head.plan,
    )


def _concatenated(one: Part, other: Part) -> Part:
    changed: dict[str, Any] = {}
    for each in fields(one):
        a, b = getattr(one, each.name), getattr(other, each.name)
        if isinstance(a, np.ndarray) and isinstance(b, np.ndarray):
            changed[each.name] = np.concatenate([_body(each.name, a), b])
        elif isinstance(a, SignalMoments) and isinstance(b, SignalMoments):
            changed[each.name] = _concatenated(a, b)
        elif b is None:
            changed[each.name] = None
    return replace(one, **changed)


def _body(name: str, array: NDArray[np.float64]) -> NDArray[np.float64]:
    return array[:-1] if name in ONE_MORE else array
