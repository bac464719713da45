"""A replica's work: jobs in, JSON out, each job its own answer."""

import json
import math
import time
from dataclasses import replace

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from luna_serving.capabilities.kalman.fits.job import FitJob
from luna_serving.capabilities.kalman.jobs.job import Job
from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.jobs.output_sizes import FILTERED, FORECASTS
from luna_serving.capabilities.kalman.jobs.time_allowed import TimeAllowed
from luna_serving.capabilities.kalman.replica import KalmanReplica, compute
from luna_serving.capabilities.kalman.settings import KalmanSettings
from luna_serving.capabilities.kalman.simulations.job import SimulateJob
from luna_serving.capabilities.kalman.streams.job import Appended, AppendJob
from luna_serving.capabilities.kalman.wire.schemas import DEFAULT_MODEL
from luna_serving.dispatch.outcomes import Refused
from luna_serving.engines.statespace.process.jax_process import configure_jax

configure_jax()
NAN = math.nan
TREND = ModelSpec.of("local_linear_trend", {"obs_var": 1.0, "level_var": 0.5, "trend_var": 0.1})
KNOWN = ModelSpec.of(
    "local_level",
    {"obs_var": 1.0, "level_var": 0.1, "initial": {"kind": "known", "mean": [5.0], "cov": [[2.0]]}},
)


def job(*series: list[float], model: ModelSpec = DEFAULT_MODEL, outputs: tuple[str, ...] = ()) -> Job:
    values, lengths = np.array([x for s in series for x in s]), tuple(len(s) for s in series)
    return Job(model, values, lengths, "filter" if outputs else "means", outputs)


def answers(*jobs: Job) -> list[object]:
    return [a if isinstance(a, Refused) else json.loads(a) for a in compute(jobs)]


def numbers(answer: object) -> list[float]:
    """The numbers of an answer in the order of the wire, without its plan (which is the batch's)."""
    match answer:
        case {"plan": _, "results": results}:
            return numbers(results)
        case dict():
            return [x for value in answer.values() for x in numbers(value)]
        case list():
            return [x for value in answer for x in numbers(value)]
        case float() | int():
            return [answer]
    raise AssertionError(answer)


def test_each_job_gets_its_own_answer_whatever_else_is_in_the_batch() -> None:
    jobs = [
        job([1.0, 2.0, 3.0]),
        job([10.0, NAN, 30.0], [7.0], model=TREND, outputs=("filtered_state", "loglike")),
        job([5.0]),
        job([1.0, 2.0, 3.0], model=KNOWN),
        job([1.0] * 300, outputs=("filtered_state",)),
        job([1.0, 2.0], model=TREND),
    ]
    together = answers(*jobs)
    alone = [answers(each)[0] for each in jobs]
    for both, one in zip(together, alone, strict=True):
        assert numbers(both) == pytest.approx(numbers(one), rel=1e-11)
    assert len(together[1]["results"]) == 2
    assert [len(r["filtered_state"]) for r in together[1]["results"]] == [3, 1]
    assert [len(row) for row in together[1]["results"][0]["filtered_state"]] == [2, 2, 2]


def test_nothing_is_claimed_before_the_first_observation_of_a_diffuse_start() -> None:
    assert answers(job([NAN, NAN, 3.0, NAN])) == [[None, None, 3.0, 3.0]]
    assert answers(job([NAN, NAN])) == [[None, None]]
    assert answers(job([NAN, 5.0], model=KNOWN)) == [[5.0, 5.0]]


def test_every_output_has_its_shape_and_no_token_that_is_not_json() -> None:
    (answer,) = answers(job([1.0, NAN, 2.0, 4.0], model=TREND, outputs=FILTERED))
    (result,) = answer["results"]
    assert set(result) == set(FILTERED)
    state = result.pop("state")
    assert set(state) == {"mean", "cov", "diffuse", "rank", "period", "nobs_diffuse"}
    assert state["period"] == 4
    shapes = {name: np.shape(np.array(value, dtype=float)) for name, value in result.items()}
    assert shapes == {
        "filtered_state": (4, 2),
        "filtered_state_cov": (4, 2, 2),
        "filtered_signal": (4,),
        "filtered_signal_var": (4,),
        "predicted_state": (5, 2),
        "predicted_state_cov": (5, 2, 2),
        "forecasts": (4,),
        "forecast_error": (4,),
        "forecast_error_cov": (4,),
        "standardized_forecast_error": (4,),
        "loglike": (),
        "loglike_obs": (4,),
        "nobs_diffuse": (),
    }
    assert result["forecast_error"][1] is None
    assert result["nobs_diffuse"] == 3, "the gap prolongs the diffuse phase"


def test_an_overflow_is_refused_at_its_series_and_spares_the_others() -> None:
    wild = [1e308, -1e308, 1e308, -1e308]
    good, bad, worse = answers(job([1.0]), job(wild), job([1.0], wild, model=DEFAULT_MODEL, outputs=("loglike",)))
    assert good == [1.0]
    assert isinstance(bad, Refused)
    assert bad.pointer == "/results"
    assert isinstance(worse, Refused)
    assert worse.pointer == "/observations/1"
    assert "Scale" in worse.detail


def test_the_plan_says_what_was_run() -> None:
    (answer,) = answers(job([1.0], outputs=("loglike",)))
    plan = answer["plan"]
    assert plan["algorithm"] == "per_series"
    assert plan["precision"] == "float64"
    assert plan["device"] == "cpu"
    assert plan["warnings"] == []
    assert all(isinstance(n, int) for n in plan["batch_shape"])


def test_no_jobs_are_no_work() -> None:
    assert compute([]) == []


def of(task: str, *series: list[float], model: ModelSpec = DEFAULT_MODEL, **changes: object) -> Job:
    return replace(job(*series, model=model), task=task, **changes)


def test_filtering_smoothing_and_forecasting_share_a_batch() -> None:
    series = [3.0, NAN, 5.0, 4.0]
    jobs = [
        of("smooth", series, [1.0], model=TREND, outputs=("smoothed_state", "smoothed_state_cov", "filtered_state")),
        job(series),
        of("forecast", series, [7.0, 8.0], model=TREND, outputs=FORECASTS, steps=3),
        of("forecast", series, outputs=FORECASTS, steps=1),
        of("filter", series, outputs=("loglike",)),
    ]
    together = answers(*jobs)
    for both, each in zip(together, jobs, strict=True):
        assert defined(both) == pytest.approx(defined(answers(each)[0]), rel=1e-9)
    smoothed = together[0]["results"][0]
    assert smoothed["smoothed_state"][-1] == pytest.approx(smoothed["filtered_state"][-1])


def defined(answer: object) -> list[float]:
    return numbers(json.loads(json.dumps(answer).replace("null", "[]")))


def test_a_forecast_has_an_interval_of_the_level_asked_for() -> None:
    (answer,) = answers(of("forecast", [1.0, 2.0, 3.0], outputs=FORECASTS, steps=4, level=0.5))
    (forecast,) = answer["results"]
    assert {len(values) for values in forecast.values()} == {4}
    reach = 0.6744897501960817 * np.sqrt(forecast["variance"])  # the normal distribution's upper quartile
    np.testing.assert_allclose(np.subtract(forecast["upper"], forecast["mean"]), reach)
    np.testing.assert_allclose(np.subtract(forecast["mean"], forecast["lower"]), reach)
    assert forecast["variance"] == sorted(forecast["variance"])


def test_what_a_diffuse_start_leaves_open_is_null_and_not_a_number() -> None:
    smoothed, forecast = answers(
        of("smooth", [NAN, NAN], outputs=("smoothed_state", "smoothed_state_cov")),
        of("forecast", [5.0], [NAN], model=TREND, outputs=FORECASTS, steps=2),
    )
    assert smoothed["results"] == [{"smoothed_state": [[None]] * 2, "smoothed_state_cov": [[[None]]] * 2}]
    assert forecast["results"] == [{name: [None, None] for name in FORECASTS}] * 2


def test_a_neighbours_overflow_is_nobody_elses_warning() -> None:
    good, _ = answers(
        job([1.0, 2.0], model=TREND, outputs=("loglike",)), job([1e308, -1e308], model=TREND, outputs=("loglike",))
    )
    assert good["plan"]["warnings"] == []


def test_a_bad_job_is_found_by_halves_and_spares_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    bad = ModelSpec.of("local_level", {"obs_var": -1.0, "level_var": 0.1})
    runs: list[int] = []
    build = ModelSpec.build

    def counted(spec: ModelSpec) -> object:
        runs.append(1)
        return build(spec)

    jobs = [job([float(i), 2.0]) for i in range(256)]
    expected = compute(jobs)
    jobs[100] = job([1.0], model=bad)
    monkeypatch.setattr(ModelSpec, "build", counted)
    found = compute(jobs)
    refused = found[100]
    assert isinstance(refused, Refused)
    assert refused.pointer == "/model/obs_var"
    assert [answer for i, answer in enumerate(found) if i != 100] == [a for i, a in enumerate(expected) if i != 100]
    assert len(runs) < 3 * len(jobs), "each run builds its jobs' models: halves of a batch, not 256 runs of one"


def test_jobs_of_every_type_may_share_a_batch() -> None:
    stream = AppendJob(KNOWN, None, np.array([1.0, 2.0]), ("filtered_state",), 3.0, 0)
    fit = FitJob(DEFAULT_MODEL, (np.arange(20.0) % 5,), ("obs_var",), "mle", 1, 20, "full", seconds=60.0)
    draws = SimulateJob(KNOWN, 2, 0, ("states",), length=3)
    jobs = [fit, draws, job([1.0]), stream, job([2.0])]
    answers = compute(jobs, TimeAllowed(time.monotonic()))
    assert [json.loads(answers[i]) for i in (2, 4)] == [[1.0], [2.0]]
    assert isinstance(answers[3], Appended)
    assert set(json.loads(answers[0])) == set(json.loads(answers[1])) - {"seed"}


async def test_a_probe_neither_computes_nor_counts() -> None:
    registry = CollectorRegistry()
    replica = KalmanReplica(KalmanSettings(), registry)
    before = samples(registry, "luna_kalman_seconds_count")
    replica.ping()
    assert await replica.compute([]) == []
    assert samples(registry, "luna_kalman_seconds_count") == before
    await replica.compute([job([1.0])])
    assert samples(registry, "luna_kalman_seconds_count") == before + 1


def samples(registry: CollectorRegistry, name: str) -> float:
    found = registry.get_sample_value(name)
    assert found is not None
    return found
