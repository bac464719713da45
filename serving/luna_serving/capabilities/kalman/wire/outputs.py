"""Descriptions of the outputs of `/filter` and `/smooth`, for the page at /docs."""

from collections.abc import Sequence
from typing import Final

# T periods, m observed elements, n states, r shocks.
MEANINGS: Final[dict[str, str]] = {
    "filtered_state": "the state given the observations up to each period, [T, n]",
    "filtered_state_cov": "its covariance, [T, n, n]",
    "filtered_signal": "design · state + obs_intercept, what is observed without noise, given the same, [T, m]",
    "filtered_signal_var": "its variance, [T, m]",
    "predicted_state": "the state given the observations before each period; one row more than there are, [T + 1, n]",
    "predicted_state_cov": "its covariance, [T + 1, n, n]",
    "forecasts": "of each observation one period ahead, [T, m]",
    "forecast_error": "the observation less its forecast, [T, m]; null where it is missing",
    "forecast_error_cov": "its covariance, [T, m, m]",
    "standardized_forecast_error": "L⁻¹ · forecast_error, forecast_error_cov = L L', [T, m]; null where it has none",
    "loglike": "the log-likelihood, a number; null where the model rules an observation out",
    "loglike_obs": "each period's part of it, [T]; 0 where all is missing, null where the model rules it out",
    "nobs_diffuse": "periods that began diffuse, a number",
    "state": "where the series ends, for `resume`",
    "smoothed_state": "the state given all observations, [T, n]; null where they leave it diffuse",
    "smoothed_state_cov": "its covariance, [T, n, n]",
    "smoothed_signal": "design · state + obs_intercept given all observations, [T, m]; null where diffuse",
    "smoothed_signal_var": "its variance, [T, m]",
    "smoothed_obs_disturbance": "the noise of each observation given all of them, [T, m]",
    "smoothed_obs_disturbance_var": "its variance, [T, m]",
    "smoothed_state_disturbance": "the shocks that move the state from each period to the next, given all, [T, r]",
    "smoothed_state_disturbance_var": "their variances, [T, r]",
    "auxiliary_residuals": '{"obs": [T, m], "state": [T, r]}: both disturbances by their own standard deviations; null '
    "where that is zero or the observation is missing",
}


def description(names: Sequence[str]) -> str:
    """What to answer for each series, as a list of these outputs."""
    return "\n".join(["What to answer for each series:", *(f"- `{name}`: {MEANINGS[name]}" for name in names)])
