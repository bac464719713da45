"""Ctrl-C and SIGTERM: the first signal stops Luna in order, the next one at once."""

from __future__ import annotations

import signal
import threading
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from types import FrameType, TracebackType

_STOPPING = tuple(s for s in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGHUP", None)) if s is not None)


class StopRequested(BaseException):
    """Luna should stop. Not an Exception, as KeyboardInterrupt is not, so that no retry catches it."""


class Signals:
    """Raises `StopRequested` in the main thread at the first signal; later signals set `hurry`.

    It raises only once, so that later signals do not interrupt the clean-up.
    """

    def __init__(self) -> None:
        self.hurry = threading.Event()
        self._stopping = False
        self._before: dict[signal.Signals, Any] = {}

    def begin_stop(self) -> None:
        """Make further signals only set `hurry`."""
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
