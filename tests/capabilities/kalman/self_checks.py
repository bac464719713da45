"""Properties of every answer, for any model, checked from the request and the answer without an oracle."""

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
# Beyond rounding: of a variance itself, and of the largest that its prediction has in the series.
RELATIVE: Final = 1e-7
ROUNDING: Final = 1e-13
ALWAYS_KNOWN: Final = (
    "filtered_state",
    "filtered_state_cov",
    "predicted_state",
    "predicted_state_cov",
    "forecasts",
    "forecast_error_cov",
    "nobs_diffuse",
)


def faults(body: dict[str, Any], answer: dict[str, Any], directions: int) -> list[str]:
    """What is wrong with an answer of 200; `directions` is how many the start leaves diffuse."""
    found: list[str] = []
    if not _admits_impossible(answer):
        found.append("a log-likelihood is null and no warning names the observation that the model rules out")
    for series, result in zip(body["observations"], answer["results"], strict=True):
        y = np.array(series, dtype=np.float64).reshape(len(series), -1)
        numbers = {name: np.array(value, dtype=np.float64) for name, value in result.items()}
        found += _nulls(y, numbers, directions)
        found += _variances(numbers)
        found += _order(numbers)
        found += _ignored(y, numbers, directions)
    return found


def _admits_impossible(answer: dict[str, Any]) -> bool:
    """A null likelihood says that the model rules an observation out: a warning must, too."""
    warned = any("contradict" in warning for warning in answer["plan"]["warnings"])
    return warned or all(result.get("loglike", 0.0) is not None for result in answer["results"])


def _nulls(y: Floats, numbers: dict[str, Floats], directions: int) -> list[str]:
    """Null is where the documentation has it."""
    found = [f"{name} has a null" for name in ALWAYS_KNOWN if name in numbers and np.isnan(numbers[name]).any()]
    if "forecast_error" in numbers:
        error = numbers["forecast_error"].reshape(y.shape)
        found += ["forecast_error is null elsewhere than the series"] if (np.isnan(error) != np.isnan(y)).any() else []
    if "loglike" in numbers and "loglike_obs" in numbers:
        impossible = np.isnan(numbers["loglike_obs"])
        found += ["loglike is not null where its parts are"] if impossible.any() != np.isnan(numbers["loglike"]) else []
        found += ["a missing observation is impossible"] if (impossible & np.isnan(y).all(axis=1)).any() else []
    if not directions:
        open_ = ("smoothed_state", "smoothed_state_cov", "mean", "variance", "states", "observations")
        found += [
            f"{name} has a null without a diffuse start" for name in open_ if np.isnan(numbers.get(name, 0)).any()
        ]
    if "mean" in numbers:
        together = [np.isnan(numbers[name]) for name in ("mean", "variance", "lower", "upper")]
        found += ["a forecast is null in part"] if any((each != together[0]).any() for each in together) else []
    return found


def _diagonal(cov: Floats, like: Floats) -> Floats:
    return cov.reshape(like.shape) if cov.ndim == like.ndim else np.diagonal(cov, axis1=1, axis2=2)


def _variances(numbers: dict[str, Floats]) -> list[str]:
    """No variance is negative."""
    pairs = {
        "filtered_state_cov": "filtered_state",
        "predicted_state_cov": "predicted_state",
        "smoothed_state_cov": "smoothed_state",
        "forecast_error_cov": "forecasts",
        "variance": "mean",
    }
    return [
        f"{cov} is negative"
        for cov, mean in pairs.items()
        if cov in numbers and (_diagonal(numbers[cov], numbers[mean]) < 0).any()
    ]


def _order(numbers: dict[str, Floats]) -> list[str]:
    """After the diffuse phase an observation never adds to a variance, nor do those that come later."""
    if "filtered_state_cov" not in numbers:
        return []
    first = int(numbers["nobs_diffuse"])
    filtered, predicted = (_states(numbers[name]) for name in ("filtered_state_cov", "predicted_state_cov"))
    rounding = ROUNDING * predicted.max(axis=0)
    pairs = [("filtered", filtered[first:], "predicted", predicted[first:-1])]
    if "smoothed_state_cov" in numbers:
        pairs.append(("smoothed", _states(numbers["smoothed_state_cov"])[first:], "filtered", filtered[first:]))
    return [
        f"{later} above {earlier} by {excess:g}"
        for later, less, earlier, more in pairs
        if (excess := _excess(less, more, rounding)) > 0
    ]


def _states(cov: Floats) -> Floats:
    """The variances [T, n] of covariances [T, n, n]."""
    return np.diagonal(cov, axis1=1, axis2=2)


def _excess(later: Floats, earlier: Floats, rounding: Floats) -> float:
    """By how much of itself the later variance exceeds the earlier one beyond rounding; zero where it does not."""
    allowed = earlier * (1 + RELATIVE) + rounding
    beyond = np.where(later > allowed, later - allowed, 0.0)
    return float((beyond / np.where(later > 0, later, 1.0)).max(initial=0.0))


def _ignored(y: Floats, numbers: dict[str, Floats], directions: int) -> list[str]:
    """No more points are ignored than there are diffuse directions, those apart that the model knew exactly."""
    if "loglike_obs" not in numbers or y.shape[1] > 1:
        return []
    var = numbers["forecast_error_cov"]
    exact = var <= 1e-12 * max(float(var.max()), 1e-300)
    ignored = ~np.isnan(y[:, 0]) & (numbers["loglike_obs"] == 0) & ~exact
    count = int(ignored.sum())
    return [f"{count} points ignored of {directions} directions"] if count > directions else []


def resolves(body: Any, pointer: str) -> bool:
    """Whether an RFC 6901 pointer names something that the request holds."""
    for token in pointer.split("/")[1:]:
        if isinstance(body, dict) and token in body:
            body = body[token]
        elif isinstance(body, list) and token.isdigit() and int(token) < len(body):
            body = body[int(token)]
        else:
            return False
    return True
