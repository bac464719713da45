"""Two gates as one: what is quick to compute never waits in a batch with what is not."""

from collections.abc import Callable
from typing import Any, Protocol

from luna_serving.ingress.gate import Call
from luna_store.debits import Decision


class Serves(Protocol):
    """Admits and computes calls; see `Gate.serve`."""

    async def serve(self, call: Call, left_s: float, asked_s: float) -> tuple[Any, Decision]:
        """Admit and compute a call."""


class Lanes:
    """Sends each call to the gate of its weight."""

    def __init__(self, light: Serves, heavy: Serves, is_heavy: Callable[[Any], bool]) -> None:
        """Wire the lanes.

        Args:
            light: the gate of quick calls.
            heavy: the other.
            is_heavy: of a job.
        """
        self._light = light
        self._heavy = heavy
        self._is_heavy = is_heavy

    async def serve(self, call: Call, left_s: float, asked_s: float) -> tuple[Any, Decision]:
        """Admit and compute a call; as `Gate.serve`."""
        gate = self._heavy if self._is_heavy(call.job) else self._light
        return await gate.serve(call, left_s, asked_s)
