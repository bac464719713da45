"""Progress of `luna up`: an updating line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Iterator


class Progress:
    """Writes progress to standard error; standard output is for results."""

    def __init__(self) -> None:
        # Without highlighting, which would colour numbers in paths and URLs.
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Show `name` while the block runs, and its duration afterwards."""
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
        """Write an error and its cure."""
        self._console.print("luna: ", style="bold red", end="", markup=False)
        self._console.print(text, markup=False)
