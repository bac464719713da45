"""How `make cluster-assets` works through its steps: says what it does, counts, tries again, tells the cure."""

from __future__ import annotations

import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Downloaded = TypeVar("Downloaded")

# A mirror that is busy for a moment; a registry that is down stays so for longer than anybody waits.
_ATTEMPTS = 3
_PAUSE_S = 5.0
# Where no line can be rewritten (CI logs), a sign of life this often.
_SIGN_OF_LIFE_S = 30.0


class AssetUnavailableError(RuntimeError):
    """An asset cannot be had; the message says which, why and what to do."""


class NetworkError(RuntimeError):
    """A download failed; trying again may help."""


class Step:
    """One line on standard error: moving on a terminal, now and then repeated elsewhere."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._begun = time.monotonic()
        self._last = self._begun
        self._moving = sys.stderr.isatty()
        self._write(f"-- {name} ...")

    def tell(self, detail: str) -> None:
        """Show how far the step is."""
        now = time.monotonic()
        if now - self._last < (0.2 if self._moving else _SIGN_OF_LIFE_S):
            return
        self._last = now
        self._write(f"-- {self._name}: {detail}, {now - self._begun:.0f} s")

    def done(self) -> None:
        """Show how long it took."""
        self._write(f"ok {self._name} ({time.monotonic() - self._begun:.1f} s)")
        if self._moving:
            sys.stderr.write("\n")

    def _write(self, line: str) -> None:
        # "\x1b[K" empties the rest of the line.
        sys.stderr.write(f"\r{line}\x1b[K" if self._moving else f"{line}\n")
        sys.stderr.flush()


@contextmanager
def step(name: str) -> Iterator[Step]:
    """Show `name` while the block runs, and how long it took once it is done."""
    shown = Step(name)
    yield shown
    shown.done()


def persistently(download: Callable[[], Downloaded], what: str) -> Downloaded:
    """Return what `download` returns; after a `NetworkError` try again, three times in all.

    Raises:
        AssetUnavailableError: it failed each time.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return download()
        except NetworkError as error:
            if attempt == _ATTEMPTS:
                raise AssetUnavailableError(
                    f"{what} cannot be downloaded. Is there a way to the internet, or to its mirrors?\n{error}"
                ) from None
            sys.stderr.write(f"\nattempt {attempt} of {_ATTEMPTS} failed: {what}\n{error}\n")
            time.sleep(_PAUSE_S * attempt)
    raise AssertionError("unreachable")
