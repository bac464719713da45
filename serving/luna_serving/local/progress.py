"""What `luna up` tells while it works: a moving line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator


class Progress:
    """Writes to standard error: standard output is for what a reader may want to keep."""

    def __init__(self) -> None:
        # No highlighting: numbers in paths and URLs are no more important than their neighbours.
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show `name` while the block runs, and how long it took once it is done."""
        begun = time.monotonic()
        if self._console.is_terminal:
            with self._console.status(f"{name} ..."):
                yield
        else:
            yield
        self.say(f"{name} ({time.monotonic() - begun:.1f} s)", style="green", mark="ok")

    def say(self, text: str, *, style: str = "", mark: str = "--") -> None:
        """Write one line."""
        self._console.print(f"{mark} ", style=style or None, end="", markup=False)
        self._console.print(text, markup=False)

    def fail(self, text: str) -> None:
        """Write what went wrong and how to cure it."""
        self._console.print("luna: ", style="bold red", end="", markup=False)
        self._console.print(text, markup=False)
