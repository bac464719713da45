"""Health of the application: alive, ready, and what it stands on."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

State = Literal["up", "down"]

# A scrape a second from every load balancer must not become a query a second each.
FRESH_S = 1.0
CHECK_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Checkup:
    """What was found, and when."""

    at: float
    states: dict[str, State]

    @property
    def ready(self) -> bool:
        """Calls can be served: a model, and either store for the debits."""
        return self.states["model"] == "up" and "up" in (self.states["redis"], self.states["postgres"])


class Health:
    """Asks the dependencies, at most once a second."""

    def __init__(self, checks: dict[str, Callable[[], Awaitable[object]]]) -> None:
        """Prepare the checks of `redis`, `postgres` and `model`; one that raises or hangs means down."""
        self._checks = checks
        self._last: Checkup | None = None
        self._lock = asyncio.Lock()

    async def check(self) -> Checkup:
        """How the dependencies are."""
        async with self._lock:
            if self._last is None or time.monotonic() - self._last.at > FRESH_S:
                states = await asyncio.gather(*(_state(check) for check in self._checks.values()))
                self._last = Checkup(time.monotonic(), dict(zip(self._checks, states, strict=True)))
            return self._last


async def _state(check: Callable[[], Awaitable[object]]) -> State:
    try:
        await asyncio.wait_for(check(), CHECK_TIMEOUT_S)
    except Exception:  # noqa: BLE001  whatever is wrong with it, it is down
        return "down"
    return "up"
