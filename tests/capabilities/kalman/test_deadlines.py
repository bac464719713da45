"""A replica stops work at its deadline, and when its call is cancelled."""

import asyncio
import time
from dataclasses import replace

import numpy as np
import pytest
from prometheus_client import CollectorRegistry
from tests.capabilities.kalman.test_cost import AIRLINE, ARIMA, given

from luna_serving.capabilities.kalman.compute import compute
from luna_serving.capabilities.kalman.fits.compute import fit_jobs
from luna_serving.capabilities.kalman.fits.job import FitJob
from luna_serving.capabilities.kalman.jobs.job import Job
from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.jobs.time_allowed import TimeAllowed
from luna_serving.capabilities.kalman.replica import KalmanReplica
from luna_serving.capabilities.kalman.settings import KalmanSettings
from luna_serving.capabilities.kalman.simulations.job import SimulateJob
from luna_serving.capabilities.kalman.streams.job import AppendJob
from luna_serving.dispatch.outcomes import TimedOut
from luna_serving.engines.statespace.process.jax_process import configure_jax

configure_jax()


class Clock:
    """Advances by a millisecond whenever it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.001
        return self.now


LONG = given(20, 1)
MANY = Job(AIRLINE, np.zeros(64 * 20), (20,) * 64, "smooth", ("smoothed_state",))
KNOWN = {"kind": "known", "mean": [0], "cov": [[1]]}
LEVEL = ModelSpec.of("local_level", {"obs_var": 1, "level_var": 1, "initial": KNOWN})
FREE = SimulateJob(LEVEL, 500, 0, ("states",), length=50)
LAGGING = AppendJob(ARIMA, None, np.arange(200.0), ("filtered_state",), 3.0, 3)


@pytest.mark.parametrize("job", [LONG, MANY, FREE, LAGGING], ids=["given", "series", "free", "stream"])
def test_work_ends_between_two_steps_once_its_time_is_over(job: Job | SimulateJob | AppendJob) -> None:
    clock = Clock()
    (answer,) = compute([replace(job, seconds=0.0045)], TimeAllowed(0.0, clock=clock))
    assert isinstance(answer, TimedOut)
    assert clock.now < 0.0065, "the first look after the deadline is the last"


@pytest.mark.parametrize("job", [LONG, MANY, FREE, LAGGING], ids=["given", "series", "free", "stream"])
def test_work_that_is_in_time_is_answered(job: Job | SimulateJob | AppendJob) -> None:
    (answer,) = compute([replace(job, seconds=1000.0)], TimeAllowed(0.0, clock=Clock()))
    assert not isinstance(answer, TimedOut)


def test_jobs_of_a_batch_keep_their_own_deadlines() -> None:
    late, good = compute([replace(FREE, seconds=0.0), FREE], TimeAllowed(0.0, clock=Clock()))
    assert isinstance(late, TimedOut)
    assert isinstance(good, bytes)


def test_an_abandoned_fit_stops_as_if_its_time_were_over() -> None:
    job = FitJob(ARIMA, (np.random.default_rng(1).normal(size=50),), ("var",), "mle", 1, 10, "full", seconds=1000.0)
    looks = iter(range(10_000))
    fit_jobs([job], TimeAllowed(0.0, lambda: next(looks) >= 2, lambda: 0.0))
    assert next(looks) < 20


async def test_a_cancelled_call_frees_its_thread_within_a_fifth_of_a_second() -> None:
    compute([given(1, 1)])
    # A busy machine may rest its threads for longer than that, but not each time.
    took: list[float] = []
    while len(took) < 5 and min(took, default=1.0) >= 0.2:
        took.append(await _seconds_to_stop())
    assert min(took) < 0.2


async def _seconds_to_stop() -> float:
    replica = KalmanReplica(KalmanSettings(), CollectorRegistry())
    call = asyncio.create_task(replica.compute([replace(given(140, 20), seconds=1000.0)]))
    await asyncio.sleep(0.3)
    assert not call.done()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    started = time.monotonic()
    await asyncio.get_running_loop().run_in_executor(None, replica._lanes["long"].shutdown)
    return time.monotonic() - started
