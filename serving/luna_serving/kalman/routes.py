"""The Kalman routes: what the edge serves, and what the OpenAPI document says of it."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from luna_serving.ingress.admission import Admission
from luna_serving.ingress.edge import Operation
from luna_serving.ingress.gate import Gate, GateLimits
from luna_serving.ingress.openapi import describe
from luna_serving.kalman.schemas import FilterAnswer, FilterRequest, KalmanAnswer, KalmanRequest
from luna_serving.kalman.wire import Limits, Wire


def operations(
    admission: Admission,
    compute: Callable[[Sequence[Any]], Awaitable[Sequence[Any]]],
    gate_limits: GateLimits,
    limits: Limits,
) -> list[Operation]:
    """The routes below `/api/v1/{account_id}/`; all of them share one gate, and so one batch."""
    gate = Gate(admission, compute, gate_limits)
    wire = Wire(limits)
    return [
        Operation(
            "kalman",
            gate,
            wire.parse_original,
            describe(
                "Filter one series",
                "The filtered mean of a series, by default of a local level. Costs 1 unit.",
                KalmanRequest,
                KalmanAnswer,
            ),
        ),
        Operation(
            "kalman/filter",
            gate,
            wire.parse_filter,
            describe(
                "Filter many series under one model",
                "The Kalman filter with an exact diffuse start by default. Costs 1 unit a series.",
                FilterRequest,
                FilterAnswer,
            ),
        ),
    ]
