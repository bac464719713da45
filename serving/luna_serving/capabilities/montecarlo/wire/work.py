"""A checked request as the two doors see it: for the gate, and for the queue."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from luna_serving.capabilities.montecarlo.wire.answers import plan_of
from luna_serving.capabilities.montecarlo.wire.requests import Asked
from luna_serving.capabilities.montecarlo.wire.travelling import WholeRun
from luna_serving.jobs.kinds import JobPlan
from luna_serving.wire.problems import FieldError
from luna_serving.wire.tabular import JSON
from luna_store.quota.debits import Grant

CAPABILITY: Final = "montecarlo"
# What a pilot takes: a policy's regressions.
PILOT_S: Final = 0.3


@dataclass(frozen=True, slots=True)
class MonteCarloWork:
    """Implements `jobs.doors.calculation.Calculation`."""

    asked: Asked
    media_type: str = JSON
    answer_bytes: int = 16 * 1024

    @property
    def units(self) -> int:
        """See `Work`, as for the following."""
        return self.asked.units(self.asked.paths)

    @property
    def grant(self) -> Grant | None:
        """The model's kind."""
        return Grant(CAPABILITY, self.asked.names[0])

    @property
    def amounts(self) -> Mapping[str, int]:
        """None but the server's own bounds."""
        return {}

    @property
    def points(self) -> int:
        """Thousands of path-steps: calls of a batch are computed after each other."""
        return max(1, self.asked.paths * self.asked.steps // 1000)

    def limit_error(self, limit: str, most: int) -> FieldError:
        """No limit of an account applies."""
        return FieldError("/paths", f"Exceeds the account's limit {limit}, {most}.")

    @property
    def job(self) -> WholeRun:
        """The whole run."""
        return WholeRun(self.asked)

    def finish(self, result: Any) -> bytes:  # noqa: ANN401  the replica's answer
        """The body is made where the run is."""
        body: bytes = result
        return body

    @property
    def seconds(self) -> float:
        """Of one core."""
        problem = self.asked.problem
        early = self.asked.names[1] in {"american", "bermudan"}
        paths = self.asked.blocks * problem.drawing.paths
        return paths * problem.nanoseconds * 1e-9 + (PILOT_S if early else 0.0)

    def as_job(self) -> JobPlan:
        """The job of the same name."""
        asked = self.asked
        return JobPlan(
            units=self.units,
            total=asked.blocks,
            unit="blocks",
            parameters=asked.parameters,
            plan=plan_of(asked),
            grant=self.grant,
            manifest={"seed": asked.problem.seed} | ({} if asked.origin is None else {"origin": asked.origin}),
        )
