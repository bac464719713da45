"""How long a rule waits before its alerts change."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Holds:
    """How long a rule waits."""

    for_ms: int
    """From the first true condition to firing."""
    keep_firing_for_ms: int
    """From the first false condition to resolved."""
