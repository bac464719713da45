"""The outputs of the Kalman routes and their sizes in numbers."""

from collections.abc import Callable
from typing import Final

# Numbers per point for each output, with m observed elements, n states and r shocks; zero means one per series.
SIZES: Final[dict[str, Callable[[int, int, int], int]]] = {
    "filtered_state": lambda _m, n, _r: n,
    "filtered_state_cov": lambda _m, n, _r: n * n,
    "filtered_signal": lambda m, *_: m,
    "filtered_signal_var": lambda m, *_: m,
    "predicted_state": lambda _m, n, _r: n,
    "predicted_state_cov": lambda _m, n, _r: n * n,
    "forecasts": lambda m, *_: m,
    "forecast_error": lambda m, *_: m,
    "forecast_error_cov": lambda m, *_: m * m,
    "standardized_forecast_error": lambda m, *_: m,
    "loglike": lambda *_: 0,
    "loglike_obs": lambda *_: 1,
    "nobs_diffuse": lambda *_: 0,
    "state": lambda *_: 0,
    "smoothed_state": lambda _m, n, _r: n,
    "smoothed_state_cov": lambda _m, n, _r: n * n,
    "smoothed_signal": lambda m, *_: m,
    "smoothed_signal_var": lambda m, *_: m,
    "smoothed_obs_disturbance": lambda m, *_: m,
    "smoothed_obs_disturbance_var": lambda m, *_: m,
    "smoothed_state_disturbance": lambda _m, _n, r: r,
    "smoothed_state_disturbance_var": lambda _m, _n, r: r,
    "auxiliary_residuals": lambda m, _n, r: m + r,
    "mean": lambda m, *_: m,
    "variance": lambda m, *_: m,
    "lower": lambda m, *_: m,
    "upper": lambda m, *_: m,
}
FORECASTS: Final = ("mean", "variance", "lower", "upper")
DISTURBANCES: Final = (
    "smoothed_obs_disturbance",
    "smoothed_obs_disturbance_var",
    "smoothed_state_disturbance",
    "smoothed_state_disturbance_var",
    "auxiliary_residuals",
)
SMOOTHED: Final = ("smoothed_state", "smoothed_state_cov", "smoothed_signal", "smoothed_signal_var", *DISTURBANCES)
FILTERED: Final = tuple(name for name in SIZES if name not in {*FORECASTS, *SMOOTHED})
