"""The route and its OpenAPI text."""

from typing import Final

from luna_serving.capabilities.markowitz.wire.schemas import MarkowitzAnswer, MarkowitzRequest
from luna_serving.capabilities.markowitz.wire.work import NAME
from luna_serving.dispatch.lanes import Gateway
from luna_serving.jobs.doors.calculation import Door, Parse
from luna_serving.jobs.doors.openapi import described

DESCRIPTION: Final = (
    "Computes the best portfolio for an objective, or the whole efficient frontier, with a proof: the residual of the "
    "conditions of an optimum, and the price of each constraint that binds. Constraints that contradict each other are "
    "refused with 422: `errors` points to them, `gap` says how far apart they are. Returns and risks are per period of "
    "the data. Costs one unit."
)


def door(gate: Gateway, parse: Parse) -> Door:
    """The door of portfolios."""
    return Door(
        name=NAME,
        capability=NAME,
        gate=gate,
        parse=parse,
        openapi=described("Optimise a portfolio", DESCRIPTION, MarkowitzRequest, MarkowitzAnswer),
    )
