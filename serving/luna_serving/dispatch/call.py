"""One call in a gate."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from luna_store.platform.logs import CONTEXT
from luna_store.quota.debits import Debit, Decision


@dataclass(slots=True, eq=False)
class Call:
    """One call in the gate."""

    debit: Debit
    job: Any
    """The capability's job; opaque to the gate."""
    points: int
    """Its weight in a batch."""
    gone: Callable[[], bool]
    """Whether the caller has hung up."""
    context: dict[str, Any] | None = field(default_factory=CONTEXT.get)
    """Members of log lines about the call; by default those of the task that makes it."""
    answer: asyncio.Future[tuple[Any, Decision]] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )
    until: float = math.inf
    """Its deadline, by `time.monotonic`."""
    asked_s: float = math.inf
    """Seconds that it had when it arrived."""
