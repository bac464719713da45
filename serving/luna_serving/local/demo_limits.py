"""What the demo account may do. Apart from `demo`, whose imports the command line need not wait for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

NAME = "local/demo"
# So high that a benchmark on one machine measures Luna and not the limit.
RATE_PER_SECOND = 10_000.0
RATE_BURST = 20_000


@dataclass(frozen=True)
class DemoLimits:
    """What the caller wants the account to be allowed; None keeps what it has, or takes the default."""

    quota: int | None = None
    rate: float | None = None
    burst: int | None = None

    def changes(self) -> dict[str, Any]:
        """The columns of `accounts` that the caller named."""
        named = {"quota_limit": self.quota, "rate_per_second": self.rate, "rate_burst": self.burst}
        return {column: value for column, value in named.items() if value is not None}
