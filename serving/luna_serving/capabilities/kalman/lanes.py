"""The lanes of Kalman calls: quick calls never share a batch with slow ones."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from luna_serving.access.charges import Charges
from luna_serving.capabilities.kalman.cost import SHORT_S, estimate, lane_of
from luna_serving.capabilities.kalman.fits.job import FitJob
from luna_serving.capabilities.kalman.jobs.job import Job
from luna_serving.capabilities.kalman.settings import LONG_AT_ONCE
from luna_serving.capabilities.kalman.simulations.job import SimulateJob
from luna_serving.capabilities.kalman.streams.job import AppendJob
from luna_serving.dispatch.gate import Gate, GateLimits, Sharing
from luna_serving.dispatch.lanes import Lanes
from luna_serving.telemetry.metrics import GateMetrics


def kalman_lanes(
    charges: Charges,
    compute: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]],
    limits: GateLimits,
    metrics: GateMetrics,
) -> Lanes:
    """A gate per lane, so that no call shares a batch with one that takes much longer."""
    one = replace(limits, max_batch=1, batches_in_flight=LONG_AT_ONCE)
    apart = Sharing(per_account=1)
    # One place more than an account may take: another's call need not wait for the batches of one that floods a lane.
    shared = replace(limits, batches_in_flight=limits.batches_in_flight + 1)
    gates = {
        "light": Gate(
            charges, compute, shared, metrics, sharing=Sharing(per_account=limits.batches_in_flight), ahead=True
        ),
        "heavy": Gate(
            charges,
            compute,
            shared,
            metrics,
            _within,
            estimate,
            Sharing(lambda call: estimate(call.job).seconds, SHORT_S, limits.batches_in_flight),
        ),
        "long": Gate(charges, compute, one, metrics, _within, estimate, apart),
        "fit": Gate(charges, compute, one, metrics, FitJob.within, sharing=apart),
    }
    return Lanes(gates, lane_of)


def _within(job: Job | SimulateJob | AppendJob, left_s: float) -> Job | SimulateJob | AppendJob:
    return job.within(left_s)
