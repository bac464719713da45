"""Limits of the demo account. Separate from `demo`, whose imports would slow down the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NAME = "local/demo"
EMAIL = "demo@luna.local"
# So high that a benchmark on one machine is not limited by it.
RATE_PER_SECOND = 10_000.0
RATE_BURST = 20_000


@dataclass(frozen=True)
class DemoLimits:
    """Limits from the command line; None keeps the present value, or takes the default."""

    quota: int | None = None
    rate: float | None = None
    burst: int | None = None

    def changes(self) -> dict[str, Any]:
        """The columns of `accounts` that were given."""
        named = {"quota_limit": self.quota, "rate_per_second": self.rate, "rate_burst": self.burst}
        return {column: value for column, value in named.items() if value is not None}
