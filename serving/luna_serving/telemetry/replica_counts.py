"""How many replicas run, and what they compute on, for `/health/system`."""

import asyncio
import time
from collections.abc import Mapping
from typing import Any, Final

# Everybody may ask: the board and the hosts are asked once in this time.
FRESH_S: Final = 5.0
ANSWER_S: Final = 2.0

Counts = dict[str, dict[str, Any]]


class ReplicaCounts:
    """Asks the metrics board, to which every replica reports, and one replica of each host."""

    def __init__(self, board: Any, hosts: Mapping[str, Any]) -> None:  # noqa: ANN401  a DeploymentHandle
        """Wire it.

        Args:
            board: the handle of the metrics board.
            hosts: by capability, the handle of the deployment that computes for it.
        """
        self._board = board
        self._hosts: dict[str, Any] = {handle.deployment_name: handle for handle in hosts.values()}
        self._members: dict[str, list[str]] = {}
        for capability, handle in sorted(hosts.items()):
            self._members.setdefault(handle.deployment_name, []).append(capability)
        self._last: tuple[float, Counts | None] = (-FRESH_S, None)
        self._lock = asyncio.Lock()

    async def counted(self) -> Counts | None:
        """By deployment; None while the board does not answer."""
        async with self._lock:
            if time.monotonic() - self._last[0] > FRESH_S:
                self._last = (time.monotonic(), await self._ask())
            return self._last[1]

    async def _ask(self) -> Counts | None:
        running, *devices = await asyncio.gather(
            _answer(self._board.replicas), *(_answer(handle.device) for handle in self._hosts.values())
        )
        if running is None:
            return None
        device = dict(zip(self._hosts, devices, strict=True))
        return {
            name: {
                "running": running.get(name, 0),
                "capabilities": self._members.get(name, []),
                "device": device.get(name),
            }
            for name in sorted({*running, *self._hosts})
        }


async def _answer(method: Any) -> Any:  # noqa: ANN401  a method of a DeploymentHandle
    try:
        return await asyncio.wait_for(method.remote(), ANSWER_S)
    except Exception:  # noqa: BLE001  whatever is wrong with it, what it would say is unknown
        return None
