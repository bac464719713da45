"""Ctrl-C and SIGTERM: the first one stops Luna in order, the next one at once."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType

_STOPPING = tuple(s for s in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None)) if s is not None)


class StopRequested(BaseException):
    """Somebody wants Luna to stop. Like KeyboardInterrupt no Exception, lest a retry swallows it."""


class Signals:
    """Turns the first signal into `StopRequested`, wherever the main thread is; later ones set `hurry`.

    Raising only once means that nothing interrupts the clean-up that the first one began.
    """

    def __init__(self) -> None:
        self.hurry = threading.Event()
        self._stopping = False
        self._before: dict[signal.Signals, Any] = {}

    def begin_stop(self) -> None:
        """From now on a signal only sets `hurry`."""
        self._stopping = True

    def _receive(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002  a handler's arguments
        if self._stopping:
            self.hurry.set()
            return
        self._stopping = True
        raise StopRequested

    def __enter__(self) -> Self:
        for number in _STOPPING:
            self._before[number] = signal.signal(number, self._receive)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
