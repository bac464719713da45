"""Runs jobs of the kind `markowitz`: one problem each, which a replica computes."""

import asyncio
from functools import partial
from typing import Final

import orjson

from luna_serving.capabilities.markowitz.job import PortfolioJob
from luna_serving.capabilities.markowitz.job_kinds.reporting import frontier_chart, sections
from luna_serving.capabilities.markowitz.settings import MarkowitzSettings
from luna_serving.capabilities.markowitz.wire.reading import document_of, problem_of
from luna_serving.capabilities.markowitz.wire.schemas import MarkowitzRequest
from luna_serving.capabilities.markowitz.wire.work import NAME
from luna_serving.dispatch.outcomes import Refused
from luna_serving.jobs.kinds import Finished, JobInvalid, JobKind, Running
from luna_store.jobs.ending import Artifact

CHART: Final = "frontier.svg"
SVG: Final = "image/svg+xml"


class PortfolioFailed(Exception):
    """A replica could not compute a problem, through no fault of the caller."""


def job_kinds(settings: MarkowitzSettings) -> tuple[JobKind, ...]:
    """The kind of job."""
    return (
        JobKind(
            NAME,
            "Optimises a portfolio or finds the efficient frontier, as `POST /markowitz`, without its deadline.",
            partial(_run, settings),
            MarkowitzRequest,
            sections=sections,
        ),
    )


async def _run(settings: MarkowitzSettings, running: Running) -> Finished:
    problem = await asyncio.to_thread(_problem, settings, running.parameters)
    (answer,) = await running.compute(NAME, [problem])
    match answer:
        case bytes():
            running.report(1)
            chart = await asyncio.to_thread(frontier_chart, orjson.loads(answer))
            artifacts = () if chart is None else (Artifact.of(CHART, SVG, chart.encode()),)
            return Finished(answer, artifacts=artifacts)
        case Refused(pointer, detail):
            raise JobInvalid(pointer, detail)
        case _:
            raise PortfolioFailed(f"A replica answered {answer!r}.")


def _problem(settings: MarkowitzSettings, parameters: bytes) -> PortfolioJob:
    return problem_of(document_of(parameters, settings), settings)
