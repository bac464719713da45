"""A parsed call: `luna_serving.jobs.doors.calculation.Calculation`."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from luna_serving.capabilities.blackscholes.job import PricingJob
from luna_serving.jobs.kinds import JobPlan
from luna_serving.wire.problems import FieldError
from luna_serving.wire.tabular import ARROW, JSON, PARQUET
from luna_store.quota.debits import Grant

CAPABILITY: Final = "blackscholes"
ROWS_PER_UNIT: Final = 1000
# CPU-seconds per option, by the method of the plan, with its share of parsing and rendering.
SECONDS: Final[Mapping[str, float]] = {
    "closed_form": 6e-7,
    "lets_be_rational": 6e-7,
    "spectral_collocation": 3e-4,
}
MEDIA_TYPES: Final = {"json": JSON, "arrow": ARROW, "parquet": PARQUET}
# Bytes of a number in an answer.
_JSON_BYTES: Final = 20
_BINARY_BYTES: Final = 9


@dataclass(frozen=True, slots=True, eq=False)
class PricingWork:
    """Options to evaluate, and what that costs."""

    job: PricingJob
    parameters: Callable[[], bytes]
    """The call as JSON."""

    @property
    def units(self) -> int:
        """One unit per 1000 options, rounded up."""
        return math.ceil(self.job.rows / ROWS_PER_UNIT)

    @property
    def grant(self) -> Grant:
        """The grant to use the style."""
        return Grant(CAPABILITY, self.job.style)

    @property
    def amounts(self) -> Mapping[str, int]:
        """None that accounts limit."""
        return {}

    @property
    def points(self) -> int:
        """Options."""
        return self.job.rows

    def limit_error(self, limit: str, most: int) -> FieldError:
        """Accounts limit nothing here."""
        return FieldError("/options", f"Exceeds the limit {limit}, {most}.")

    def finish(self, result: bytes) -> bytes:
        """The replica has rendered it."""
        return result

    @property
    def seconds(self) -> float:
        """CPU-seconds that it takes."""
        return self.job.rows * SECONDS[self.job.plan["method"]]

    @property
    def answer_bytes(self) -> int:
        """The size of the answer."""
        number = _JSON_BYTES if self.job.form == "json" else _BINARY_BYTES
        return self.job.rows * (len(self.job.outputs) + 1) * number

    @property
    def media_type(self) -> str:
        """Of the answer."""
        return MEDIA_TYPES[self.job.form]

    def as_job(self) -> JobPlan:
        """What queues it."""
        plan: Mapping[str, Any] = self.job.plan
        return JobPlan(
            units=self.units,
            total=self.job.rows,
            unit="options",
            parameters=self.parameters(),
            plan=plan,
            grant=self.grant,
            amounts=self.amounts,
            limit_error=self.limit_error,
        )
