"""Requests made of public bug reports on other packages, with their exact answers; each file names its sources.

The answers come from 60 digits: dense conditioning of the joint Gaussian, generalised least squares for what is
diffuse, and for the fit the residual sum of squares by its degrees of freedom. Where a report gives no numbers the
oracle of `tests.engines.statespace.oracles` does.
"""

import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from tests.engines.statespace.oracles.cases import Case
from tests.engines.statespace.oracles.engine import answered
from tests.engines.statespace.oracles.expected import Expected
from tests.engines.statespace.oracles.judge import error_of
from tests.engines.statespace.oracles.wire_models import system_of

from luna_serving.capabilities.kalman.fits.compute import fit_jobs
from luna_serving.capabilities.kalman.fits.wire import parse_fit
from luna_serving.capabilities.kalman.jobs.time_allowed import TimeAllowed
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.capabilities.kalman.wire.work import KalmanWork

FOLDER = Path(__file__).with_name("public_reports")
NAMES = sorted(path.stem for path in FOLDER.glob("*.json"))
EXACT = 1e-8


def report(name: str) -> tuple[str, dict[str, Any], dict[str, Any]]:
    """The task, the request's body and what is expected."""
    whole = json.loads((FOLDER / f"{name}.json").read_text())
    return whole["path"].rpartition("/")[2], whole["body"], whole["expect"]


def case(body: dict[str, Any], steps: int = 1) -> Case:
    return Case("report", 0, body["model"], body["observations"][0], steps)


@pytest.mark.parametrize("name", NAMES)
def test_every_report_names_the_page_that_it_was_made_of(name: str) -> None:
    sources = json.loads((FOLDER / f"{name}.json").read_text())["sources"]
    assert sources
    assert all(source.startswith("https://") for source in sources)


@pytest.mark.parametrize("name", ["waves_of_a_year_in_daily_data", "seasonal_autoregression_near_one", "common_factor"])
def test_the_log_likelihood_is_the_exact_one(name: str) -> None:
    task, body, expected = report(name)
    (result,) = answered(task, body)["results"]
    assert result["loglike"] == pytest.approx(expected["loglike"], rel=EXACT)


def test_slow_waves_leave_no_negative_variance_and_ignore_no_point() -> None:
    task, body, _ = report("waves_of_a_year_in_daily_data")
    (result,) = answered(task, body)["results"]
    assert min(result["forecast_error_cov"]) > 0
    assert all(result["loglike_obs"])


def test_a_gap_of_the_airline_model_is_interpolated_exactly() -> None:
    task, body, expected = report("airline_model_with_a_gap")
    (result,) = answered(task, body)["results"]
    # The level is diff.0 + seasonal_diff.0.L3 + arma.0.
    weights = np.array([1, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0.0])[: len(result["smoothed_state"][15])]
    mean = weights @ np.array(result["smoothed_state"][15])
    variance = weights @ np.array(result["smoothed_state_cov"][15]) @ weights
    signal, its_variance = expected.values()
    assert mean == pytest.approx(signal, rel=EXACT)
    assert variance == pytest.approx(its_variance, rel=EXACT)


@pytest.mark.parametrize("name", ["airline_model_with_a_gap", "airline_model_of_144_points"])
def test_the_airline_models_smoothed_states_are_those_of_the_joint_gaussian(name: str) -> None:
    task, body, _ = report(name)
    (result,) = answered(task, body)["results"]
    exact = Expected(case(body), system_of(body["model"])).answers()
    for output in body["outputs"]:
        assert error_of(np.array(result[output], dtype=float), exact[output]) < EXACT


def test_draws_of_a_gap_of_the_airline_model_have_its_mean_and_deviation() -> None:
    task, body, expected = report("draws_of_the_airline_gap")
    (result,) = answered(task, body)["results"]
    drawn = np.array(result["observations"], dtype=float)
    gap = drawn[:, body["observations"][0].index(None)]
    # Four and a half standard errors.
    error = expected["sd"] / np.sqrt(body["draws"])
    assert abs(gap.mean() - expected["mean"]) < 4.5 * error
    assert abs(gap.std() / expected["sd"] - 1) < 4.5 / np.sqrt(2 * body["draws"])


def test_a_regressor_that_nearly_equals_the_data_leaves_a_variance_to_estimate() -> None:
    _, body, expected = report("regressor_nearly_equal_to_the_data")
    work = parse_fit(SeriesLimits(10_000, 10, 1_000_000), orjson.dumps(body))
    assert isinstance(work, KalmanWork)
    (answer,) = fit_jobs([replace(work.job, seconds=60.0)], TimeAllowed(time.monotonic()))
    assert isinstance(answer, bytes), answer
    (fit,) = json.loads(answer)["results"]
    assert fit["estimates"]["obs_var"] == pytest.approx(expected["obs_var"], rel=EXACT, abs=0)


def test_coefficients_of_any_scale_that_were_never_seen_leave_the_forecast_open() -> None:
    task, body, expected = report("unseen_coefficients_of_two_scales")
    (result,) = answered(task, body)["results"]
    assert result["mean"] == expected["mean"]
    assert result["variance"] == expected["mean"]
