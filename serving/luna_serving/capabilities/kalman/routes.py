"""The operations of the Kalman routes, with their OpenAPI descriptions."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, Final

from luna_serving.capabilities.kalman.fits.schemas import FitAnswer, FitRequest
from luna_serving.capabilities.kalman.fits.wire import parse_fit
from luna_serving.capabilities.kalman.models.lookup import NamedModels
from luna_serving.capabilities.kalman.simulations.schemas import SimulateAnswer, SimulateRequest
from luna_serving.capabilities.kalman.simulations.wire import parse_simulate
from luna_serving.capabilities.kalman.wire.binary import MEDIA_TYPES, REQUEST
from luna_serving.capabilities.kalman.wire.calls import NamedCall
from luna_serving.capabilities.kalman.wire.from_dataset import NamedSeries
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
from luna_serving.capabilities.kalman.wire.series import SeriesLimits
from luna_serving.dispatch.lanes import Gateway
from luna_serving.dispatch.work import Unresolved, Work
from luna_serving.edge.openapi import describe, with_media_types
from luna_serving.edge.operation import Forms, Operation
from luna_serving.wire.sent import Sent

KALMAN: Final = "kalman"


def operations(gateway: Gateway, limits: SeriesLimits, named: NamedModels, series: NamedSeries) -> list[Operation]:
    """The routes below `/api/v1/{account_id}/`."""
    wire = Wire(limits)

    def resolving(parse: Callable[[bytes], Work | NamedCall]) -> Callable[[bytes], Work | Unresolved]:
        return series.resolving(named.resolving(parse))

    def forms(schema: type[SeriesRequest]) -> Forms:
        def parse(sent: Sent) -> Work | Unresolved:
            return resolving(lambda body: wire.parse_sent(schema, replace(sent, body=body)))(sent.body)

        return Forms(MEDIA_TYPES, parse, frozenset({REQUEST}))

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
                "Costs 1 unit per series.",
                FilterRequest,
                SeriesAnswer,
            ),
        ),
        (
            SmoothRequest,
            describe(
                "Smooth many series under one model",
                "Each state given all observations, before and after it. Costs 1 unit per series.",
                SmoothRequest,
                SeriesAnswer,
            ),
        ),
        (
            ForecastRequest,
            describe(
                "Forecast many series under one model",
                "Mean, variance and interval of the observations to come. Costs 1 unit per series.",
                ForecastRequest,
                ForecastAnswer,
            ),
        ),
    ]
    simulate = describe(
        "Draw from a model",
        "Paths of its states and observations; or, given series, of their states, gaps and futures. "
        "Costs 1 unit per series, and 1 unit without series.",
        SimulateRequest,
        SimulateAnswer,
    )
    fit = describe(
        "Estimate a model's parameters from each of many series",
        "Maximum likelihood with exact gradients and standard errors, or EM. Answers within the deadline with the best "
        "so far, and says why it stopped. Costs 1 unit per series.",
        FitRequest,
        FitAnswer,
    )
    beside = {
        "name": REQUEST,
        "in": "query",
        "required": False,
        "description": "Beside a body that is not JSON: the members other than `observations`, as a JSON object.",
        "schema": {"type": "string"},
    }
    operation = partial(Operation, gate=gateway, capability=KALMAN)
    return [
        operation("kalman", parse=named.resolving(wire.parse_original), openapi=original),
        *(
            operation(
                f"kalman/{schema.TASK}",
                parse=resolving(partial(wire.parse_series, schema)),
                openapi=with_media_types(openapi, sorted(MEDIA_TYPES), [beside]),
                forms=forms(schema),
            )
            for schema, openapi in many
        ),
        operation(
            "kalman/simulate",
            parse=resolving(partial(parse_simulate, limits)),
            openapi=simulate,
        ),
        operation("kalman/fit", parse=resolving(partial(parse_fit, limits)), openapi=fit),
    ]
