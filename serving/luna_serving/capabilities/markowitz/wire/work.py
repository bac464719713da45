"""A parsed problem, as the gate charges it and as a job."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from luna_serving.capabilities.markowitz.job import PortfolioJob
from luna_serving.capabilities.markowitz.moments import Estimated, moments_of
from luna_serving.capabilities.markowitz.refusing import REFUSALS, refused
from luna_serving.dispatch.series import Origin
from luna_serving.engines.finance.markowitz.api.problems import (
    Unsolved,
    assets_of,
    check_feasible,
    refuse_contradictions,
)
from luna_serving.jobs.kinds import JobPlan
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError
from luna_serving.wire.tabular import JSON
from luna_store.quota.debits import Grant

NAME = "markowitz"
BYTES_PER_NUMBER = 24


@dataclass(frozen=True, slots=True)
class MarkowitzWork:
    """Implements `jobs.doors.calculation.Calculation`."""

    problem: PortfolioJob
    parameters: bytes
    """The body, with all data in it."""
    origin: Origin | None = None

    @property
    def units(self) -> int:
        """One unit per problem."""
        return 1

    @property
    def grant(self) -> Grant:
        """The grant to use the objective."""
        return Grant(NAME, self.problem.objective_name)

    @property
    def amounts(self) -> Mapping[str, int]:
        """None."""
        return {}

    @property
    def points(self) -> int:
        """Its weight in a batch: elements of the covariance."""
        return self.problem.assets**2

    def limit_error(self, limit: str, most: int) -> FieldError:
        """Of no limit."""
        return FieldError("", f"Exceeds the account's limit {limit}, {most}.")

    @property
    def job(self) -> PortfolioJob:
        """What the replica gets."""
        return self.problem

    @property
    def seconds(self) -> float:
        """CPU-seconds, estimated."""
        return self.problem.seconds

    @property
    def answer_bytes(self) -> int:
        """The size of the answer, estimated from above."""
        n = self.problem.assets
        portfolios = 2 * n + 50 + self.problem.points if self.problem.objective is None else 8
        return BYTES_PER_NUMBER * n * portfolios + 200 * n + 1_000

    @property
    def media_type(self) -> str:
        """JSON."""
        return JSON

    def finish(self, result: bytes) -> bytes:
        """The body of the answer."""
        return with_origin(result, self.origin)

    def as_job(self) -> JobPlan:
        """What queues it. Contradictions are refused here, before a worker takes it.

        Raises:
            Problem: 422.
        """
        refuse_hopeless(self.problem)
        manifest: dict[str, Any] = {} if self.origin is None else {"dataset": self.origin.as_dict()}
        return JobPlan(
            units=self.units,
            total=1,
            unit="portfolios",
            parameters=self.parameters,
            plan=self.problem.plan,
            grant=self.grant,
            amounts=self.amounts,
            limit_error=self.limit_error,
            manifest=manifest,
        )


def with_origin(result: bytes, origin: Origin | None) -> bytes:
    """An answer that says which data set it is from."""
    if origin is None:
        return result
    return b'{"dataset":' + orjson.dumps(origin.as_dict()) + b"," + result[1:]


def refuse_hopeless(problem: PortfolioJob) -> None:
    """Refuse what would have no answer, as far as that costs little.

    Raises:
        Problem: 422.
    """
    try:
        if problem.estimator.kind == "kalman":
            # Its means are a replica's work.
            refuse_contradictions(problem.limits)
            return
        estimated: Estimated = moments_of(problem, lambda: False)
        check_feasible(assets_of(estimated.mean, estimated.cov), problem.limits, problem.objective)
    except REFUSALS as error:
        found = refused(error, problem)
        wrong = [(found.pointer, found.detail), *found.others]
        raise problems.invalid(*(FieldError(*each) for each in wrong), facts=found.facts) from error
    except (Unsolved, np.linalg.LinAlgError):
        # The replica tries, and counts it.
        return
