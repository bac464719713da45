"""The job: it runs on a replica, and leaves a chart and a report."""

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
from prometheus_client import CollectorRegistry
from tests.capabilities.markowitz.asking import COV, MEAN, SETTINGS, answer, work

from luna_serving.capabilities.markowitz.job_kinds.reporting import sections
from luna_serving.capabilities.markowitz.job_kinds.running import PortfolioFailed, job_kinds
from luna_serving.capabilities.markowitz.replica import MarkowitzReplica
from luna_serving.dispatch.outcomes import Failed, Refused, TimedOut
from luna_serving.jobs.kinds import JobInvalid, Running
from luna_serving.jobs.report.page import Page, render

BODY = {"mean": MEAN, "cov": COV, "objective": "efficient_frontier", "points": 5, "assets": ["<a>", "b", "c"]}
(KIND,) = job_kinds(SETTINGS)


def running(compute: Any) -> Running:
    parameters = work(BODY).as_job().parameters
    return cast("Running", SimpleNamespace(parameters=parameters, compute=compute, report=lambda _: None))


async def test_it_computes_on_a_replica_and_draws_the_frontier() -> None:
    replica = MarkowitzReplica(SETTINGS, CollectorRegistry())
    await replica.warm_up()

    async def compute(_: str, jobs: Sequence[Any]) -> Sequence[Any]:
        return await replica.compute(jobs)

    finished = await KIND.run(running(compute))
    assert orjson.loads(finished.result) == answer(**BODY)
    (chart,) = finished.artifacts
    assert (chart.name, chart.media_type) == ("frontier.svg", "image/svg+xml")
    assert chart.body is not None
    assert b"<path" in chart.body
    assert chart.body.count(b"<circle") == 3
    assert b"<a>" not in chart.body


@pytest.mark.parametrize(
    ("outcome", "error"),
    [(Refused("/target", "no"), JobInvalid), (Failed(), PortfolioFailed), (TimedOut(), PortfolioFailed)],
    ids=["refused", "failed", "timed out"],
)
async def test_what_a_replica_refuses_ends_the_job(outcome: object, error: type[Exception]) -> None:
    async def compute(_: str, __: Sequence[Any]) -> Sequence[Any]:
        await asyncio.sleep(0)
        return [outcome]

    with pytest.raises(error):
        await KIND.run(running(compute))


@pytest.mark.parametrize("objective", ["efficient_frontier", "min_variance"])
def test_the_report_shows_the_portfolio_and_escapes_names(objective: str) -> None:
    body = {"mean": MEAN, "cov": COV, "objective": objective, "assets": ["<script>", "b", "c"]}
    page = render(Page("portfolio", sections=sections(b"", orjson.dumps(answer(**body)))))
    assert b"<svg" in page
    assert b"<script>" not in page
    assert b"KKT residual" in page


async def test_a_replica_answers_several_problems_in_order() -> None:
    replica = MarkowitzReplica(SETTINGS, CollectorRegistry())
    replica.ping()
    jobs = [work({"cov": COV, "objective": each}).job for each in ("min_variance", "hrp", "risk_parity")]
    plans = [orjson.loads(each)["plan"]["objective"] for each in await replica.compute(jobs) if isinstance(each, bytes)]
    assert plans == ["min_variance", "hrp", "risk_parity"]


async def test_time_that_is_over_ends_the_work() -> None:
    replica = MarkowitzReplica(SETTINGS, CollectorRegistry())
    assert await replica.compute([work(BODY).job.within(-1.0)]) == [TimedOut()]
