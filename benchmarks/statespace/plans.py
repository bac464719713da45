"""Steps a second of each plan, and how much of this machine's copy bandwidth that is.

    python -m benchmarks.statespace.plans --rounds 10 --threads 2
    python -m benchmarks.statespace.plans --only "shared gain, float64"

A step is one period of one series. These are the engine's inner loops, for its developers; users cannot call them.
Each figure is a whole call, one of 20 in a row after 10 that are not timed, as when one batch follows the other: one
NumPy array `[series, period]` in and one `[series, period, state]` out. Gains and steady states are computed before,
once for all series, and are not timed. The plans take turns, so that what else runs on the machine disturbs them alike;
best and median are over all timed calls.
"""

import argparse
import os
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypedDict

import numpy as np

from luna_serving.engines.statespace.plans import per_series, shared_gain
from luna_serving.engines.statespace.plans.memory import Floats, Precision
from luna_serving.engines.statespace.plans.parallel_in_time import parallel_in_time_means
from luna_serving.engines.statespace.plans.per_series import ModelArrays, Moments, per_series_filter
from luna_serving.engines.statespace.plans.recurrence import Recurrence, recurrence
from luna_serving.engines.statespace.plans.shared_gain import shared_gain_filter
from luna_serving.engines.statespace.plans.steady_state import steady_means
from luna_serving.engines.statespace.process.jax_process import configure_jax

from .timing import copy_bandwidth, timed

SERIES, PERIODS, LONG = 1024, 1000, 1_000_000
UNTIMED, TIMED = 10, 20
TRANSITION, DESIGN = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([[1.0, 0.0]])
STATE_COV, OBS_VAR = np.diag([0.1, 0.01]), 1.0


class Spread(TypedDict):
    """Over which threads."""

    pool: Executor | None
    threads: int


@dataclass(frozen=True)
class Plan:
    """One line of the table."""

    name: str
    steps: int
    bytes_a_step: int  # of data in and means out
    call: Callable[[], object]


def gains(length: int) -> tuple[Recurrence, np.ndarray]:
    """The gains of a local linear trend from a wide start, and the predicted covariance after the last."""
    cov, rows = 100 * np.eye(2), []
    for _ in range(length):
        gain = cov @ DESIGN.T / (DESIGN @ cov @ DESIGN.T + OBS_VAR)
        rows.append(gain)
        left = np.eye(2) - gain @ DESIGN
        cov = TRANSITION @ (left @ cov @ left.T + OBS_VAR * gain @ gain.T) @ TRANSITION.T + STATE_COV
    return recurrence(np.array(rows), TRANSITION, DESIGN, np.zeros(2), np.zeros(1)), cov


def lanes(batch: int) -> tuple[ModelArrays, Moments]:
    """The same model, once per series."""

    def repeated(array: np.ndarray) -> np.ndarray:
        return np.repeat(array[..., None], batch, axis=-1)

    model = ModelArrays(
        *map(repeated, (TRANSITION, DESIGN[0], np.array(OBS_VAR), STATE_COV, np.zeros(2), np.array(0.0)))
    )
    return model, Moments(np.zeros((2, batch)), repeated(100 * np.eye(2)))


def plans(pool: Executor | None, threads: int) -> list[Plan]:
    """Every plan on the data of its target."""
    rng = np.random.default_rng(0)
    y = rng.normal(size=(SERIES, PERIODS)).cumsum(axis=1)
    recurrent, _ = gains(PERIODS)
    start = np.zeros((2, SERIES))
    holes = np.where(rng.random(y.shape) < 0.1, np.nan, y)
    long = rng.normal(size=LONG).cumsum()
    long_holes = np.where(rng.random(LONG) < 0.1, np.nan, long)
    many, one = lanes(SERIES), lanes(1)
    phi, gain = recurrent.phi[-1], recurrent.gain[-1]
    spread: Spread = {"pool": pool, "threads": threads}

    def turned(precision: Precision) -> Callable[[], Floats]:
        return lambda: shared_gain_filter(recurrent, y, start, precision=precision, **spread)

    steps, double, single = SERIES * PERIODS, np.float64, np.float32
    return [
        Plan("shared gain, float64", steps, 24, turned(double)),
        Plan("shared gain, float32 inside", steps, 24, turned(single)),
        Plan(
            "per series, scattered gaps",
            steps,
            24,
            lambda: per_series_filter(many[0], holes, many[1], **spread),
        ),
        Plan(
            "steady state, one long series",
            LONG,
            24,
            lambda: steady_means(phi, gain, np.zeros(2), long[None, :, None], np.zeros((1, 2)), pool=pool),
        ),
        Plan(
            "parallel in time, one long series with gaps",
            LONG,
            24,
            lambda: parallel_in_time_means(one[0], long_holes, one[1], **spread),
        ),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statespace.plans", description=__doc__)
    parser.add_argument(
        "--rounds", type=int, default=10, help="turns of each plan, of 3 measured calls each (default 15)"
    )
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads to compute on (default: all)")
    parser.add_argument("--only", default="", metavar="TEXT", help="plans whose name contains it")
    options = parser.parse_args()
    configure_jax()
    shared_gain.warm_up()
    per_series.warm_up()
    bandwidth = copy_bandwidth(options.rounds, options.threads)
    print(f"copy bandwidth {bandwidth / 1e9:.1f} GB/s, {options.threads} threads, load {os.getloadavg()[0]:.2f}")
    with ThreadPoolExecutor(options.threads) as pool:
        every = plans(pool if options.threads > 1 else None, options.threads)
        listed = [plan for plan in every if options.only in plan.name]
        if not listed:
            parser.error(f"--only {options.only!r}: there are {', '.join(repr(plan.name) for plan in every)}")
        for plan in listed:
            plan.call()
            plan.call()
        seconds: dict[str, list[float]] = {plan.name: [] for plan in listed}
        for _ in range(options.rounds):
            for plan in listed:
                # One batch after the other: the first calls after another plan's pay for a cold cache.
                for _ in range(UNTIMED):
                    plan.call()
                seconds[plan.name] += [timed(plan.call) for _ in range(TIMED)]
    print(f"{'plan':45} {'best M/s':>9} {'median M/s':>10} {'ns/step':>8} {'of copy':>8}")
    for plan in listed:
        best, median = min(seconds[plan.name]), float(np.median(seconds[plan.name]))
        share = plan.bytes_a_step * plan.steps / best / bandwidth
        figures = f"{plan.steps / best / 1e6:9.0f} {plan.steps / median / 1e6:10.0f} {best / plan.steps * 1e9:8.2f}"
        print(f"{plan.name:45} {figures} {share:8.1%}")
    print(f"load {os.getloadavg()[0]:.2f}")


if __name__ == "__main__":
    main()
