"""What a capability says about a calculation that has two doors."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from luna_serving.dispatch.lanes import Gateway
from luna_serving.dispatch.work import JsonWork, Unresolved
from luna_serving.jobs.kinds import JobPlan
from luna_serving.wire.sent import Sent
from luna_serving.wire.tabular import JSON

# CPU-seconds from which a calculation is a job.
AT_ONCE_S: Final = 1.0


class Calculation(JsonWork, Protocol):
    """A parsed request: `Work` for the gate, and a `JobPlan` for the queue."""

    @property
    def seconds(self) -> float:
        """CPU-seconds that it takes, estimated."""

    @property
    def answer_bytes(self) -> int:
        """The size of its answer, estimated from above."""

    @property
    def media_type(self) -> str:
        """Of what `finish` returns."""

    def as_job(self) -> JobPlan:
        """What queues it; its `plan` is the answer's. Called in a thread: the parameters may be large."""


Parse = Callable[[Sent], Calculation | Unresolved]
"""Parses a request; what it names in a store is looked up through `Unresolved`, whose works are Calculations. Raises
Problem: 406, 415, 422 with pointers into the body. Called in any thread."""


@dataclass(frozen=True, slots=True)
class Door:
    """A calculation with a route of its own."""

    name: str
    """Path below the account's, and name of the job's kind."""
    capability: str
    gate: Gateway
    parse: Parse
    openapi: Mapping[str, Any]
    """From `doors.openapi.described`."""
    media_types: frozenset[str] = frozenset({JSON})
    """Of the bodies that it takes. A body without a type is JSON."""
    parameters: frozenset[str] = frozenset()
    """Query parameters that `parse` reads; `validate_only` is every door's."""
    max_body_bytes: int | None = None
    """Of a body, where columns may be larger than `LUNA_EDGE_MAX_BODY_BYTES`."""
