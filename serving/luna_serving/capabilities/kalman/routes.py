"""The Kalman routes: what the edge serves, and what the OpenAPI document says of it."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final

from luna_serving.access.charges import Charges
from luna_serving.capabilities.kalman.cost import SHORT_S, estimate, lane_of
from luna_serving.capabilities.kalman.fits.job import FitJob
from luna_serving.capabilities.kalman.fits.schemas import FitAnswer, FitRequest
from luna_serving.capabilities.kalman.fits.wire import parse_fit
from luna_serving.capabilities.kalman.jobs.job import Job
from luna_serving.capabilities.kalman.models.lookup import NamedModels
from luna_serving.capabilities.kalman.simulations.job import SimulateJob
from luna_serving.capabilities.kalman.simulations.schemas import SimulateAnswer, SimulateRequest
from luna_serving.capabilities.kalman.simulations.wire import parse_simulate
from luna_serving.capabilities.kalman.streams.job import AppendJob
from luna_serving.capabilities.kalman.wire.requests import Wire
from luna_serving.capabilities.kalman.wire.schemas import (
    FilterRequest,
    ForecastAnswer,
    ForecastRequest,
    KalmanAnswer,
    KalmanRequest,
    SeriesAnswer,
    SeriesRequest,
    SmoothRequest,
)
from luna_serving.capabilities.kalman.wire.series import Limits
from luna_serving.dispatch.gate import Gate, GateLimits, Sharing
from luna_serving.dispatch.lanes import Lanes
from luna_serving.edge.asgi import Operation
from luna_serving.edge.openapi import describe

# Of different accounts, in one ingress replica: more would hold memory, and none be quicker.
LONG_AT_ONCE: Final = 4


def gates(
    charges: Charges, compute: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]], limits: GateLimits
) -> dict[str, Gate]:
    """A gate for each lane, so that no call shares a batch with one that takes much longer."""
    one = replace(limits, max_batch=1, batches_in_flight=LONG_AT_ONCE)
    beside = Sharing(per_account=1)
    return {
        "light": Gate(charges, compute, limits),
        # One place more than an account may take: should a call take longer than estimated, the others pass it.
        "heavy": Gate(
            charges,
            compute,
            replace(limits, batches_in_flight=limits.batches_in_flight + 1),
            _within,
            estimate,
            Sharing(lambda call: estimate(call.job).seconds, SHORT_S, limits.batches_in_flight),
        ),
        "long": Gate(charges, compute, one, _within, estimate, beside),
        "fit": Gate(charges, compute, one, FitJob.within, sharing=beside),
    }


def _within(job: Job | SimulateJob | AppendJob, left_s: float) -> Job | SimulateJob | AppendJob:
    return job.within(left_s)


def operations(
    charges: Charges,
    compute: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]],
    gate_limits: GateLimits,
    limits: Limits,
    named: NamedModels,
) -> list[Operation]:
    """The routes below `/api/v1/{account_id}/`; calls of one lane share a gate, and so a batch."""
    lanes = Lanes(gates(charges, compute, gate_limits), lane_of)
    wire = Wire(limits)
    original = describe(
        "Filter one series",
        "The filtered mean of a series, by default of a local level. Costs 1 unit.",
        KalmanRequest,
        KalmanAnswer,
    )
    many: list[tuple[type[SeriesRequest], Mapping[str, Any]]] = [
        (
            FilterRequest,
            describe(
                "Filter many series under one model",
                "Each state given the observations so far, by default from an exact diffuse start. "
                "Costs 1 unit a series.",
                FilterRequest,
                SeriesAnswer,
            ),
        ),
        (
            SmoothRequest,
            describe(
                "Smooth many series under one model",
                "Each state given all observations, before and after it. Costs 1 unit a series.",
                SmoothRequest,
                SeriesAnswer,
            ),
        ),
        (
            ForecastRequest,
            describe(
                "Forecast many series under one model",
                "Mean, variance and interval of the observations to come. Costs 1 unit a series.",
                ForecastRequest,
                ForecastAnswer,
            ),
        ),
    ]
    simulate = describe(
        "Draw from a model",
        "Paths of its states and observations; or, given series, of their states, gaps and futures. "
        "Costs 1 unit a series, and 1 where none is given.",
        SimulateRequest,
        SimulateAnswer,
    )
    fit = describe(
        "Estimate a model's parameters from each of many series",
        "Maximum likelihood with exact gradients and standard errors, or EM. Answers within the deadline with the best "
        "so far, and says why it stopped. Costs 1 unit a series.",
        FitRequest,
        FitAnswer,
    )
    return [
        Operation("kalman", lanes, named.resolving(wire.parse_original), original),
        *(
            Operation(f"kalman/{schema.TASK}", lanes, named.resolving(partial(wire.parse_series, schema)), openapi)
            for schema, openapi in many
        ),
        Operation("kalman/simulate", lanes, named.resolving(partial(parse_simulate, limits)), simulate),
        Operation("kalman/fit", lanes, named.resolving(partial(parse_fit, limits)), fit),
    ]
