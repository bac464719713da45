"""Computes a portfolio problem in a replica: from a job to the JSON of its answer."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from luna_serving.capabilities.markowitz.answers import frontier_answer, portfolio_answer
from luna_serving.capabilities.markowitz.job import PortfolioJob
from luna_serving.capabilities.markowitz.metrics import MarkowitzMetrics
from luna_serving.capabilities.markowitz.moments import moments_of
from luna_serving.capabilities.markowitz.refusing import REFUSALS, refused
from luna_serving.dispatch.outcomes import Failed, Refused, TimedOut
from luna_serving.engines.finance.markowitz.api.answers import Stopped, frontier, solve
from luna_serving.engines.finance.markowitz.api.problems import MinCvar, Unsolved, assets_of

Answer = bytes | Refused | TimedOut | Failed


def compute(job: PortfolioJob, abandoned: Callable[[], bool], metrics: MarkowitzMetrics) -> Answer:
    """Answer one problem.

    Args:
        job: the problem.
        abandoned: whether nobody waits for the answer any more.
        metrics: counts it.
    """
    until = None if job.time_left_s is None else time.monotonic() + job.time_left_s

    def stop() -> bool:
        return abandoned() or (until is not None and time.monotonic() > until)

    begun = time.perf_counter()
    try:
        return _computed(job, stop)
    except REFUSALS as error:
        return refused(error, job)
    except Stopped:
        return TimedOut()
    except (Unsolved, np.linalg.LinAlgError):
        metrics.unsolved.inc()
        return Failed()
    finally:
        metrics.seconds.labels(job.objective_name).observe(time.perf_counter() - begun)


def _computed(job: PortfolioJob, stop: Callable[[], bool]) -> bytes:
    estimated = moments_of(job, stop)
    assets = assets_of(estimated.mean, estimated.cov)
    if job.objective is None:
        return frontier_answer(job, estimated, assets, frontier(assets, job.limits, job.points, stop))
    objective = job.objective
    if isinstance(objective, MinCvar) and job.returns is not None:
        objective = replace(objective, returns=job.returns)
    return portfolio_answer(job, estimated, assets, solve(assets, job.limits, objective))
