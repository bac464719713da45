"""The sandboxes of one worker: one for each group of libraries, closed when nobody has used it for a while."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox

# Seconds that an unused server keeps its 100 MB: validations often come in groups.
IDLE_S: Final = 30.0


@dataclass(slots=True)
class _Kept:
    sandbox: Sandbox
    users: int = 0
    closing: asyncio.Task[None] | None = None


class Sandboxes:
    """Travels to the workers before it has any."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._kept: dict[tuple[str, ...], _Kept] = {}

    @asynccontextmanager
    async def of(self, preload: Sequence[str]) -> AsyncIterator[Sandbox]:
        """The sandbox whose server has imported these modules."""
        key = tuple(preload)
        kept = self._kept.get(key)
        if kept is None:
            kept = self._kept[key] = _Kept(Sandbox(preload=key, at_once=self._at_once))
        if kept.closing is not None:
            kept.closing.cancel()
            kept.closing = None
        kept.users += 1
        try:
            yield kept.sandbox
        finally:
            kept.users -= 1
            if not kept.users:
                kept.closing = asyncio.create_task(self._close(key, kept), name="idle sandbox")

    async def _close(self, key: tuple[str, ...], kept: _Kept) -> None:
        await asyncio.sleep(IDLE_S)
        # From here on another user makes a new one.
        if self._kept.get(key) is kept:
            del self._kept[key]
        kept.closing = None
        await kept.sandbox.close()
