"""A replica's work on fits: jobs in, JSON out, within their time."""

import json
import time
from typing import Any

import numpy as np
import pytest
from statsmodels.datasets import nile

from luna_serving.capabilities.kalman.fits.compute import fit_jobs
from luna_serving.capabilities.kalman.fits.job import FitJob
from luna_serving.capabilities.kalman.fits.schemas import FitAnswer
from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.jobs.time_allowed import TimeAllowed
from luna_serving.dispatch.outcomes import Refused
from luna_serving.engines.statespace.process.jax_process import configure_jax

configure_jax()
NILE = nile.load_pandas().data["volume"].to_numpy(dtype=float)
KNOWN = {"kind": "known", "mean": [1000.0], "cov": [[1e5]], "timing": "predicted"}


def job(*series: np.ndarray, fields: dict[str, Any] | None = None, **changes: Any) -> FitJob:
    spec = ModelSpec.of("local_level", {"obs_var": 1.0, "level_var": 0.1} | (fields or {}))
    given = {"free": ("obs_var", "level_var"), "method": "mle", "starts": 2, "max_iterations": 500, "loglike": "full"}
    return FitJob(spec, series, **(given | {"seconds": 60.0} | changes))


def answer(each: FitJob) -> dict[str, Any]:
    (answered,) = fit_jobs([each], TimeAllowed(time.monotonic()))
    assert isinstance(answered, bytes), answered
    found: dict[str, Any] = json.loads(answered)
    FitAnswer.model_validate(found)
    return found


def test_the_answer_holds_a_model_that_starts_as_the_callers_did() -> None:
    (fit,) = answer(job(NILE, fields={"initial": KNOWN}))["results"]
    assert fit["model"] == {"kind": "local_level", "initial": KNOWN, **fit["estimates"]}
    # Durbin & Koopman's estimates, for the start is vague.
    assert fit["estimates"]["level_var"] == pytest.approx(1469.1, rel=0.02)


def test_each_series_has_an_answer_of_its_own_also_where_there_are_no_estimates() -> None:
    found = answer(job(NILE, np.array([5.0, np.nan]), np.full(30, 7.0)))
    fitted, short, constant = found["results"]
    assert fitted["converged"]
    assert short["why_stopped"] == "too few observations"
    assert constant["why_stopped"] == "the likelihood has no maximum"
    for each in (short, constant):
        assert each["model"] is each["loglike"] is each["aic"] is each["cov_type"] is None
        assert each["estimates"] == {"obs_var": None, "level_var": None}
    assert found["plan"]["algorithm"] == "bfgs"
    assert found["plan"]["warnings"] == ["2 of 3 series did not converge; why_stopped says why"]


def test_a_fit_that_is_too_large_for_its_time_answers_in_time_with_its_best() -> None:
    series = np.random.default_rng(1).normal(size=(60, 1500)).cumsum(axis=1)
    answer(job(*series, starts=1))  # compiles
    begun = time.monotonic()
    first = answer(job(*series, starts=1))["results"]
    one_s = time.monotonic() - begun
    # Of the time that this machine takes: to look at the places for 400 starts takes seven times as long as the first
    # search, and to search from them far longer.
    begun = time.monotonic()
    results = answer(job(*series, starts=400, seconds=2 * one_s))["results"]
    assert time.monotonic() - begun < 4 * one_s + 1.0
    assert any(each["starts"] < 400 for each in results)
    assert all(each["model"] is not None for each in results if each["loglike"] is not None)
    # What was finished before the time was out is answered: at least a first estimate, unless the machine slowed down.
    pairs = zip(first, results, strict=True)
    assert all(each["loglike"] >= best["loglike"] - 1e-6 for best, each in pairs if each["converged"])


def test_time_that_is_too_short_for_anything_is_said_and_not_charged() -> None:
    (answered,) = fit_jobs([job(NILE, seconds=0.0)], TimeAllowed(time.monotonic()))
    assert isinstance(answered, Refused)
    assert answered.pointer == "/observations"


def test_em_says_which_parameter_it_has_no_step_for() -> None:
    spec = ModelSpec.of("arima", {"order": [1, 0, 0], "ar": [0.5], "var": 1.0})
    each = FitJob(spec, (NILE,), ("var", "ar"), "em", 1, 10, "full", 60.0)
    (answered,) = fit_jobs([each], TimeAllowed(time.monotonic()))
    assert isinstance(answered, Refused)
    assert answered.pointer == "/method"
    assert answered.detail.startswith("var ")
