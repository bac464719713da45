"""What can use a set, and with which parameters: the end of a report. Pure.

The kinds are those of `/kalman/*`, by their names on the wire; a test holds them against the capability.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from luna_serving.capabilities.datasets.validation.contract import SetType
from luna_serving.capabilities.datasets.validation.frequency import Frequency
from luna_serving.capabilities.datasets.validation.tables.seasons import season
from luna_serving.capabilities.datasets.validation.xray.readiness import xray_readiness

_MOST_SEASON: Final = 365
# The observations that a fit needs: its parameters and the states that start diffuse, and as many again to judge by.
_LOCAL_LEVEL, _TREND, _ARIMA = 10, 20, 40


def readiness(kind: SetType, summary: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """One row per use: `use`, `ready`, `why`, `parameters`.

    Args:
        kind: of the set.
        summary: of all its files together; see `sets.summary_of`, and `xray.sets.SetSummary` of images.
    """
    if kind is SetType.XRAY:
        return xray_readiness(summary)
    shortest, text = int(summary["shortest"]), summary.get("frequency")
    frequency = None if text is None else Frequency.of(text)
    period = season(frequency)
    rows = [
        _by_length("local_level", shortest, _LOCAL_LEVEL, {"kind": "local_level"}),
        _by_length("local_linear_trend", shortest, _TREND, {"kind": "local_linear_trend"}),
        _seasonal(shortest, period),
        _arima(shortest, period, frequency),
        _irregular(frequency, shortest),
    ]
    if kind is SetType.OHLCV:
        rows.append(_by_length("bars", shortest, 2, {}))
    return rows


def _row(use: str, why: str, parameters: Mapping[str, Any] | None) -> Mapping[str, Any]:
    return {"use": use, "ready": parameters is not None, "why": why, "parameters": dict(parameters or {})}


def _by_length(use: str, shortest: int, needed: int, parameters: Mapping[str, Any]) -> Mapping[str, Any]:
    why = f"The shortest series has {shortest:,} observations; {needed} are enough."
    if shortest < needed:
        return _row(use, f"The shortest series has {shortest:,} observations; it needs {needed}.", None)
    return _row(use, why, parameters)


def _seasonal(shortest: int, period: int | None) -> Mapping[str, Any]:
    if period is None:
        return _row("seasonal", "The frequency suggests no season.", None)
    if period > _MOST_SEASON:
        return _row("seasonal", f"A season has {period:,} observations: resample, or use freq_seasonal.", None)
    needed = 2 * period + _LOCAL_LEVEL
    if shortest < needed:
        why = f"The shortest series has {shortest:,} observations; two seasons of {period} and a level need {needed}."
        return _row("seasonal", why, None)
    model = {"kind": "structural", "level": {}, "seasonal": {"period": period}}
    return _row("seasonal", f"Every series has two seasons of {period} or more.", model)


def _arima(shortest: int, period: int | None, frequency: Frequency | None) -> Mapping[str, Any]:
    if frequency is None:
        return _row("arima", "The times have no regular frequency, which an ARIMA model needs.", None)
    if shortest < _ARIMA:
        return _row("arima", f"The shortest series has {shortest:,} observations; it needs {_ARIMA}.", None)
    seasonal = period is not None and shortest >= 3 * period + _ARIMA
    model: dict[str, Any] = {"kind": "arima", "order": [0, 1, 1]}
    if seasonal:
        model["seasonal_order"] = [0, 1, 1, period]
    why = f"Regular ({frequency}), {shortest:,} observations or more" + (f", season of {period}." if seasonal else ".")
    return _row("arima", why, model)


def _irregular(frequency: Frequency | None, shortest: int) -> Mapping[str, Any]:
    if shortest < _LOCAL_LEVEL:
        return _by_length("constant_velocity", shortest, _LOCAL_LEVEL, {})
    if frequency is None:
        return _row(
            "constant_velocity", "Takes the distance of each step.", {"kind": "constant_velocity", "dt": "steps"}
        )
    return _row("constant_velocity", "Regular steps.", {"kind": "constant_velocity", "dt": 1.0})
