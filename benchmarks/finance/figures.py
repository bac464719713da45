"""What a part reports, and how calls are timed."""

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Figure:
    """One comparison."""

    what: str
    luna: float
    unit: str
    peer: float | None = None
    peer_name: str = ""
    note: str = ""

    def row(self) -> tuple[str, str, str, str, str]:
        """As a row of the table."""
        peer = "" if self.peer is None else f"{self.peer:.4g} {self.unit} ({self.peer_name})"
        ratio = "" if not self.peer else f"{self.luna / self.peer:.3g}"
        return self.what, f"{self.luna:.4g} {self.unit}", peer, ratio, self.note


def rate(call: Callable[[], object], items: int, repeats: int = 5) -> float:
    """Items per second, of the fastest of some calls; the first one warms up."""
    call()
    best = float("inf")
    for _ in range(repeats):
        begun = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - begun)
    return items / best
