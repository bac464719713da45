"""The route `POST /montecarlo`, and what prepares and extends its jobs."""

import asyncio
from dataclasses import replace
from typing import Final

import orjson

from luna_serving.capabilities.montecarlo.schemas.answers import MonteCarloAnswer
from luna_serving.capabilities.montecarlo.schemas.request import MOST_PATH_STEPS, MOST_PATHS, MonteCarloRequest
from luna_serving.capabilities.montecarlo.wire.requests import ORIGIN, parse, read
from luna_serving.capabilities.montecarlo.wire.returns import Returns, names_returns
from luna_serving.capabilities.montecarlo.wire.work import MonteCarloWork
from luna_serving.dispatch.lanes import Gateway
from luna_serving.dispatch.work import Unresolved
from luna_serving.jobs.doors.calculation import Door
from luna_serving.jobs.doors.openapi import described
from luna_serving.jobs.kinds import JobPlan
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError
from luna_serving.wire.sent import Sent

NAME: Final = "montecarlo"


def door(gate: Gateway, returns: Returns) -> Door:
    """The calculation with its two doors."""

    def parsed(sent: Sent) -> MonteCarloWork | Unresolved:
        document = read(sent.body)
        if ORIGIN in document:
            raise problems.invalid(FieldError(f"/{ORIGIN}", "Is not permitted here: it is for answers."))
        if not names_returns(document):
            return MonteCarloWork(parse(document))

        async def look_up(account_id: int) -> MonteCarloWork:
            whole = await returns.filled(account_id, document)
            return MonteCarloWork(await asyncio.to_thread(parse, whole))

        return Unresolved(lambda _: None, look_up)

    openapi = described(
        "Value an option or a portfolio by simulation",
        "An estimate with its standard error and interval. The same request and seed give the same bits, at once or as "
        "a job, on any number of replicas. Costs 1 unit per million path-steps.",
        MonteCarloRequest,
        MonteCarloAnswer,
    )
    return Door(NAME, NAME, gate, parsed, openapi)


def extended(parameters: bytes, result: bytes, addition: int) -> JobPlan:
    """The same problem with more paths; its units are those of the addition.

    Args:
        parameters: of the job.
        result: of its last end.
        addition: paths to add: to those that were asked for, or, where it ended before, to those that were computed.

    Raises:
        Problem: 422, too many in all.
    """
    document, last = orjson.loads(parameters), orjson.loads(result)
    paths = addition + (document.get("paths", 100_000) if last["stopped"] == "paths" else last["paths"])
    if paths > MOST_PATHS or paths * last["plan"]["steps"] > MOST_PATH_STEPS:
        most = min(MOST_PATHS, MOST_PATH_STEPS // last["plan"]["steps"])
        raise problems.invalid(FieldError("/paths", f"Would make {paths} paths in all; at most {most}."))
    document.pop("stop", None)
    asked = parse({**document, "paths": paths})
    return replace(MonteCarloWork(asked).as_job(), units=asked.units(addition))
