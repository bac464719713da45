"""The reports of fits and simulations: real results, every section, also where there is nothing to estimate."""

import math
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import orjson
import pytest

from luna_serving.capabilities.kalman.fits.compute import fit_jobs
from luna_serving.capabilities.kalman.fits.wire import parse_fit
from luna_serving.capabilities.kalman.job_kinds.reporting import fit_sections, simulate_sections
from luna_serving.capabilities.kalman.jobs.time_allowed import TimeAllowed
from luna_serving.capabilities.kalman.replica import compute
from luna_serving.capabilities.kalman.simulations.wire import parse_simulate
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.engines.statespace.process.jax_process import configure_jax
from luna_serving.jobs.report.of_job import MEDIA_TYPE, NAME, Sections, Times, report_of
from luna_store.jobs.claiming import ClaimedJob
from luna_store.jobs.ending import Artifact, Ended
from luna_store.jobs.states import JobStatus

configure_jax()
LIMITS = SeriesLimits(max_series_length=1000, max_series_per_request=100, max_answer_numbers=1_000_000)
BEGAN = datetime(2026, 11, 29, 8, 0, tzinfo=UTC)
LEVEL = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.5}

KNOWN = {"kind": "known", "mean": [5.0], "cov": [[2.0]]}


def series(count: int) -> list[list[float]]:
    drawn = np.random.default_rng(3)
    return [(drawn.normal(size=80).cumsum() + drawn.normal(size=80)).tolist() for _ in range(count)]


def fitted(observations: list[list[float]]) -> tuple[bytes, bytes]:
    parameters = orjson.dumps({"model": LEVEL, "observations": observations})
    work = parse_fit(LIMITS, parameters)
    (answer,) = fit_jobs([replace(work.job, seconds=120.0)], TimeAllowed(time.monotonic()))
    assert isinstance(answer, bytes)
    return parameters, answer


def simulated(**request: Any) -> tuple[bytes, bytes]:
    parameters = orjson.dumps({"model": LEVEL | {"initial": KNOWN}, "seed": 1, **request})
    (answer,) = compute([replace(parse_simulate(LIMITS, parameters).job, seconds=math.inf)])
    assert isinstance(answer, bytes)
    return parameters, answer


def report(
    parameters: bytes,
    result: bytes | None,
    sections: Sections | None,
    status: JobStatus = JobStatus.SUCCEEDED,
    **end: Any,
) -> Artifact | None:
    job = ClaimedJob(
        id=uuid.UUID(int=7),
        account_id=3,
        kind="kalman/fit",
        fence=1,
        attempt=1,
        failures=0,
        units_reserved=40,
        priority=0,
        progress={"completed": 40, "total": 40, "unit": "series"},
        manifest={"seed": 1, "versions": {"numpy": "2.4", "luna": "0.1.0"}},
        deadline_in_s=60.0,
        created_at=BEGAN,
        parameters=parameters,
        checkpoint=None,
        limits={},
    )
    ended = Ended(job.id, 3, 1, status, 40, result=result, **end)
    return report_of(job, ended, Times(BEGAN, BEGAN + timedelta(seconds=75)), sections)


def test_the_report_of_a_fit_has_its_estimates_and_how_the_searches_ended() -> None:
    made = report(*fitted([*series(12), [5.0] * 30, [1.0, 2.0]]), fit_sections)
    assert made is not None
    assert (made.name, made.media_type, made.size) == (NAME, MEDIA_TYPE, len(made.body))
    html = made.body.decode()
    for words in (
        "luna 0.1.0, numpy 2.4",
        "Summary",
        "Estimates",
        "obs_var",
        "level_var",
        "±",
        "too few observations",
        "1 min 15 s",
        ">seed<",
    ):
        assert words in html
    assert html.count("<svg") == 5
    assert html.count("<desc>") == 5
    assert len(html) < 60_000


def test_the_report_of_a_simulation_has_a_fan_of_its_paths() -> None:
    made = report(*simulated(length=60, draws=200, outputs=["observations"]), simulate_sections)
    html = made.body.decode()
    assert "middle 95 %" in html
    assert "the median of 200 draws" in html


@pytest.mark.parametrize(
    "request_",
    [{"length": 1, "draws": 1}, {"length": 30, "draws": 3}, {"observations": series(2), "draws": 25, "steps": 5}],
)
def test_simulations_of_any_shape_have_a_report(request_: dict[str, Any]) -> None:
    for outputs in (["states"], ["observations"]):
        if "observations" not in request_ or outputs == ["states"]:
            assert report(*simulated(**request_, outputs=outputs), simulate_sections).body.count(b"<svg") >= 1


def test_a_fit_of_one_series_or_of_none_so_far_has_a_report() -> None:
    assert report(*fitted(series(1)), fit_sections).body.count(b"<svg") == 1
    empty = orjson.dumps({"plan": None, "results": []})
    assert b"did not finish" in report(b"{}", empty, fit_sections, JobStatus.CANCELLED).body


def test_there_is_no_report_without_a_result_nor_beside_one_that_the_kind_made() -> None:
    assert report(b"{}", None, fit_sections, JobStatus.FAILED) is None
    own = (Artifact.of(NAME, MEDIA_TYPE, b"<p>"),)
    assert report(b"{}", b"{}", None, artifacts=own) is None
    assert report(b"{}", b"{}", None, JobStatus.QUEUED) is None
