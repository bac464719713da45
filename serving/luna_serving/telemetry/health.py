"""Health of the application: alive, ready, and what it stands on."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
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
    ready: bool
    """Calls can be served: one of the stores and every critical dependency is up."""


class Health:
    """Asks the dependencies, at most once a second."""

    def __init__(
        self,
        stores: Mapping[str, Callable[[], Awaitable[object]]],
        critical: Mapping[str, Callable[[], Awaitable[object]]],
        others: Mapping[str, Callable[[], Awaitable[object]]],
    ) -> None:
        """Prepare the checks; one that raises or hangs means down.

        Args:
            stores: by name; one of them is enough for the debits.
            critical: by name, what calls cannot be served without: the hosts that compute.
            others: by name, what is only shown: calls are served without it.
        """
        self._stores = frozenset(stores)
        self._critical = frozenset(critical)
        self._checks = {**stores, **critical, **others}
        self._last: Checkup | None = None
        self._lock = asyncio.Lock()

    async def check(self) -> Checkup:
        """How the dependencies are."""
        async with self._lock:
            if self._last is None or time.monotonic() - self._last.at > FRESH_S:
                states = await asyncio.gather(*(_state(check) for check in self._checks.values()))
                self._last = self._found(dict(zip(self._checks, states, strict=True)))
            return self._last

    def _found(self, states: dict[str, State]) -> Checkup:
        up = {name for name, state in states.items() if state == "up"}
        ready = not up.isdisjoint(self._stores) and up >= self._critical
        return Checkup(time.monotonic(), states, ready)


async def _state(check: Callable[[], Awaitable[object]]) -> State:
    try:
        await asyncio.wait_for(check(), CHECK_TIMEOUT_S)
    except Exception:  # noqa: BLE001  whatever is wrong with it, it is down
        return "down"
    return "up"
