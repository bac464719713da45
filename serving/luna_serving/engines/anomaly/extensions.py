"""The engine's functions in PromQL: `luna_score`, `luna_band`, `luna_forecast`, `luna_prob_cross`."""

from collections.abc import Callable, Mapping, Sequence
from typing import cast

import numpy as np

from luna_serving.engines.anomaly import api
from luna_serving.engines.anomaly.panel import Floats
from luna_serving.engines.promql.api import NAME_LABEL, ArgumentType, Extension, ExtensionCall, ExtensionSeries

Compute = Callable[[list[api.Series], ExtensionCall, api.Memory | None], Floats]
SELECTOR, SCALAR = ArgumentType.SELECTOR, ArgumentType.SCALAR


def extensions(memory: api.Memory | None = None) -> Mapping[str, Extension]:
    """What `promql.api.parse` takes as `extensions`.

    Args:
        memory: one per process, so that a query which is repeated learns once a day.
    """
    return {
        name: _extension(name, compute, arguments, memory)
        for name, compute, arguments in (
            ("luna_score", _score, ()),
            ("luna_band", _band, (SCALAR,)),
            ("luna_forecast", _forecast, (SCALAR,)),
            ("luna_prob_cross", _prob_cross, (SCALAR, SCALAR)),
        )
    }


def _extension(
    name: str, compute: Compute, arguments: tuple[ArgumentType, ...], memory: api.Memory | None
) -> Extension:
    def computed(call: ExtensionCall) -> Sequence[ExtensionSeries]:
        labels = [{k: v for k, v in one.labels.items() if k != NAME_LABEL} for one in call.series]
        if len({frozenset(one.items()) for one in labels}) < len(labels):
            raise ValueError(f"{name} selects metrics of several names with the same labels: name one metric")
        values = compute([(one.timestamps, one.values) for one in call.series], call, memory)
        return [ExtensionSeries(one, row, np.isfinite(row)) for one, row in zip(labels, values, strict=True)]

    return Extension(name, (SELECTOR, *arguments), api.history_start, computed)


def _score(series: list[api.Series], call: ExtensionCall, memory: api.Memory | None) -> Floats:
    return np.where(call.live, api.score(series, call.times_ms, call.check, memory), np.nan)


def _band(series: list[api.Series], call: ExtensionCall, memory: api.Memory | None) -> Floats:
    return api.band(series, call.times_ms, _number(call, 0), call.check, memory)


def _forecast(series: list[api.Series], call: ExtensionCall, memory: api.Memory | None) -> Floats:
    return api.forecast(series, call.times_ms, _number(call, 0), call.check, memory)


def _prob_cross(series: list[api.Series], call: ExtensionCall, memory: api.Memory | None) -> Floats:
    threshold, ahead = _number(call, 0), _number(call, 1)
    return api.probability_of_crossing(series, call.times_ms, threshold, ahead, call.check, memory)


def _number(call: ExtensionCall, place: int) -> Floats:
    return cast("Floats", call.arguments[place])
