"""The two doors of `POST /blackscholes`."""

from typing import Any, Final

from luna_serving.capabilities.blackscholes.wire.reading import PARAMETERS, Reader
from luna_serving.capabilities.blackscholes.wire.schemas import PricingAnswer, PricingRequest
from luna_serving.capabilities.blackscholes.wire.work import CAPABILITY
from luna_serving.dispatch.lanes import Gateway
from luna_serving.jobs.doors.calculation import Door
from luna_serving.jobs.doors.openapi import described
from luna_serving.wire.tabular import ARROW, JSON, PARQUET

_QUERY: Final[dict[str, str]] = {
    "style": "Beside a table: `european` or `american`.",
    "outputs": "Beside a table: names with commas, such as `price,delta`.",
    "valuation_date": "Beside a table: the day from which dates count.",
    "day_count": "Beside a table: `act/365`, `act/360`, `act/act` or `30/360`.",
}


def door(gate: Gateway, reader: Reader, max_body_bytes: int) -> Door:
    """The door."""
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "query", "required": False, "description": text, "schema": {"type": "string"}}
        for name, text in _QUERY.items()
    ]
    openapi = described(
        "Evaluate options in the Black-Scholes model",
        "Prices, Greeks and implied volatilities of columns of options, European or American. Costs 1 unit per 1000 "
        "options, rounded up.",
        PricingRequest,
        PricingAnswer,
        parameters=parameters,
        other_bodies=(ARROW, PARQUET),
    )
    return Door(
        CAPABILITY,
        CAPABILITY,
        gate,
        reader.parse,
        openapi,
        media_types=frozenset({JSON, ARROW, PARQUET}),
        parameters=frozenset(PARAMETERS),
        max_body_bytes=max_body_bytes,
    )
