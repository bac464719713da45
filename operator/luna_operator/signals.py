"""SIGTERM and SIGINT, by which Kubernetes and people end the operator."""

import asyncio
import signal


def set_on_signals(stop: asyncio.Event) -> None:
    """Have the running loop set `stop` on both, in the place of whatever took them before."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
