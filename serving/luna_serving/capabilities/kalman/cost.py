"""Estimates the CPU-seconds of a job from its model's size and its number of points and draws.

The constants were measured on a server core, with compiled programs. Above 0.1 s, an estimate is at most about twice
the time on that core. It determines the lane of a call, and which calls are refused because they could not end in
time. Pure NumPy: the ingress calls it and has no JAX.
"""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Final, Literal

import numpy as np

from luna_serving.capabilities.kalman.fits.job import FitJob
from luna_serving.capabilities.kalman.jobs.job import Job
from luna_serving.capabilities.kalman.simulations.job import SimulateJob
from luna_serving.capabilities.kalman.streams.job import AppendJob
from luna_serving.dispatch.estimates import Estimate
from luna_serving.engines.statespace.api.description import Model, collapses, is_plain, needs_square_root

# Seconds up to which a call shares its lane with others like it; longer calls have their own lane.
SHORT_S: Final = 0.1

# By the number of states, padded to the next entry: how many series cost as much as one, and microseconds of a row of
# them, filtered in full or also smoothed; and the factor of the square-root filter.
SIZES: Final = (1, 2, 4, 8, 16, 32, 64)
FILTER: Final = ((32, 1.5), (32, 2.5), (32, 10), (8, 10), (8, 25), (8, 32), (1, 110))
SMOOTH: Final = ((32, 4), (32, 8), (32, 42), (8, 36), (8, 95), (1, 90), (1, 280))
ROOT: Final = (4.5, 4.5, 4.5, 2, 2, 1.5, 1.8)
# Microseconds per number in an answer's JSON.
NUMBER_US: Final = 0.03
# Microseconds per stream of random numbers.
STREAM_US: Final = 20.0
# Seconds per call, without its numbers.
CALL_S: Final = 0.001


def estimate(job: Job | SimulateJob | AppendJob) -> Estimate:
    """The estimate for a job: its seconds, and the member that a caller could make smaller."""
    match job:
        case SimulateJob():
            return Estimate(_simulation_s(job), "/draws", job.draws, "draws")
        case AppendJob():
            return Estimate(_append_s(job), "/values", len(job.values), "points")
        case Job():
            return _of_series(job)


Lane = Literal["light", "heavy", "long", "fit"]


def lane_of(job: Job | SimulateJob | AppendJob | FitJob) -> Lane:
    """The lane of a job: "light", "heavy", "long" or "fit"."""
    match job:
        case FitJob():
            return "fit"
        case _ if not job.heavy:
            return "light"
        case SimulateJob() if job.series:
            # The ingress cannot know whether float64 has enough digits; if not, draws take a hundred times longer.
            return "long"
        case _:
            return "long" if estimate(job).seconds > SHORT_S else "heavy"


def _of_series(job: Job) -> Estimate:
    model = job.model.build()
    smooth = job.task == "smooth"
    lengths = [*job.lengths, *_twins(job, model, smooth=smooth)]
    seconds = _batches_s(model, lengths, smooth=smooth) + job.numbers * NUMBER_US * 1e-6
    if job.task == "forecast" and job.steps * len(job.lengths) > sum(job.lengths):
        return Estimate(seconds + _forecast_s(job, model), "/steps", job.steps, "steps")
    if job.task == "forecast":
        seconds += _forecast_s(job, model)
    pointer = "/results" if job.task == "means" else "/observations"
    return Estimate(seconds, pointer, sum(job.lengths), "points")


def _twins(job: Job, model: Model, *, smooth: bool) -> list[int]:
    """The lengths of the series that are run again to check rounding: one per pattern of gaps."""
    if is_plain(model) and not smooth:
        return []
    ends = (0, *accumulate(job.lengths))
    return [b - a for a, b in {np.isnan(job.values[a:b]).tobytes(): (a, b) for a, b in pairwise(ends)}.values()]


def _forecast_s(job: Job, model: Model) -> float:
    n = model.states
    return job.steps * (12 + len(job.lengths) * (1 + n**3 / 2000)) * 1e-6


def _append_s(job: AppendJob) -> float:
    model = job.model.build()
    windows = [job.lag + 1] * len(job.values) if job.lag else []
    return _batches_s(model, [len(job.values)]) + _batches_s(model, windows, smooth=True)


def _simulation_s(job: SimulateJob) -> float:
    model = job.model.build()
    n, r, m = model.states, model.shocks, model.observed
    rows = job.draws * job.periods
    a_row = 0.12 + (n + r + m) * (n + m) / 2000 + sum(n if name == "states" else m for name in job.outputs) * NUMBER_US
    if job.series:
        a_row += 0.05 + n * (n + m) / 1400
    seconds = CALL_S + (job.draws * max(len(job.series), 1) * STREAM_US + rows * a_row) * 1e-6
    if job.series:
        # Series with different gaps have different weights.
        lengths = {(y.shape, (y != y).tobytes()): len(y) + job.steps for y in job.series}
        seconds += sum(1.5 * _batches_s(model, [length]) + length * 10e-6 for length in lengths.values())
        # Each of these is smoothed twice before, to check rounding.
        seconds += _batches_s(model, 2 * list(lengths.values()), smooth=True)
    return seconds


def _batches_s(model: Model, lengths: Sequence[int], *, smooth: bool = False) -> float:
    """Seconds for series of these lengths, filtered and smoothed."""
    size = bisect_left(SIZES, model.states)
    rows = model.states if collapses(model) else model.observed
    if rows > 1 or model.length is not None:
        size = max(size, 2)
    width, us = (SMOOTH if smooth else FILTER)[size]
    longest = sorted(lengths, reverse=True)[::width]
    return CALL_S + sum(longest) * rows * us * (ROOT[size] if needs_square_root(model) else 1.0) * 1e-6
