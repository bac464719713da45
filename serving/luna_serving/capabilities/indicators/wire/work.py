"""A parsed `GET /indicators/{name}`, which implements `luna_serving.dispatch.work.Work`."""

from collections.abc import Mapping
from dataclasses import dataclass

from luna_serving.capabilities.indicators.cache.lookup import Found
from luna_serving.capabilities.indicators.jobs.batches import Order
from luna_serving.capabilities.indicators.jobs.tasks import Task
from luna_serving.capabilities.indicators.wire.formulas import CAPABILITY, READING
from luna_serving.capabilities.indicators.wire.query import Wanted
from luna_serving.dispatch.work import Rendered
from luna_serving.wire.problems import FieldError
from luna_store.quota.debits import Grant


@dataclass(frozen=True, slots=True)
class SingleJob:
    """One indicator of one symbol."""

    task: Task
    order: Order
    wanted: Wanted
    grants: tuple[str, ...]
    found: Found | None = None
    """Its history, where memory had it."""


@dataclass(frozen=True, slots=True)
class SingleWork:
    """Costs one unit."""

    job: SingleJob

    @property
    def units(self) -> int:
        """One, for a hit and a miss alike."""
        return 1

    @property
    def grant(self) -> Grant | None:
        """The grant of the indicator; that of the first of several in an expression."""
        grants = self.job.grants
        if grants:
            return Grant(CAPABILITY, grants[0])
        return None if self.job.task.located.own else READING

    @property
    def points(self) -> int:
        """Bars to compute on."""
        return self.job.task.located.bars

    @property
    def amounts(self) -> Mapping[str, int]:
        """None: the prices are the server's."""
        return {}

    def limit_error(self, limit: str, most: int) -> FieldError:
        """Not called: it has no amounts."""
        return FieldError("", f"Exceeds the account's limit {limit}, {most}.")

    def finish(self, result: Rendered) -> Rendered:
        """The answer, which was rendered when the account's limits were known."""
        return result
