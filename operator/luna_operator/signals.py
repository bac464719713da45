"""SIGTERM and SIGINT, which stop the operator."""

import asyncio
import signal


def set_on_signals(stop: asyncio.Event) -> None:
    """Make the running loop set `stop` on both signals, in place of earlier handlers."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
