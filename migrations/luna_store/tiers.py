"""The Tiers that Luna ships, for installations without a cluster: `luna account create --tier`, and `luna up`.

In a cluster a Tier is a custom resource; `crds/examples/tier.yaml` has the same ones, and a test compares.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from luna_store.grants import ALL
from luna_store.quota.windows import QuotaWindow

UNLIMITED: Final = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Tier:
    """Defaults of an account, as the columns of `accounts` hold them."""

    name: str
    quota_limit: int
    quota_window: QuotaWindow
    rate_per_second: float
    rate_burst: int
    allowed: Mapping[str, Sequence[str]]
    limits: Mapping[str, int] = field(default_factory=dict)

    def defaults(self) -> dict[str, Any]:
        """The fields of an `AccountSpec`."""
        return {
            "tier": self.name,
            "quota_limit": self.quota_limit,
            "quota_window": self.quota_window,
            "rate_per_second": self.rate_per_second,
            "rate_burst": self.rate_burst,
            "allowed": {capability: list(names) for capability, names in self.allowed.items()},
            "limits": dict(self.limits),
        }


TIERS: Final[Mapping[str, Tier]] = {
    tier.name: tier
    for tier in (
        Tier(
            "free",
            50,
            QuotaWindow.DAY,
            10.0,
            100,
            {
                "kalman": ("local_level", "local_linear_trend"),
                "market": ("server",),
                "indicators": ("sma", "ema"),
            },
            {"max_series_length": 2_000, "max_series_per_request": 10, "history_days": 90},
        ),
        Tier(
            "pro",
            500,
            QuotaWindow.DAY,
            50.0,
            500,
            {
                "kalman": (
                    "local_level",
                    "local_linear_trend",
                    "constant_velocity",
                    "constant_acceleration",
                    "structural",
                    "arima",
                ),
                "indicators": ("sma", "ema", "rsi", "macd"),
                ALL: (ALL,),
            },
            {
                "max_series_length": 100_000,
                "max_series_per_request": 1_000,
                "history_days": 365,
                "jobs.concurrent": 8,
                "jobs.queued": 10_000,
                "jobs.seconds": 7_200,
                "jobs.result_bytes": 268_435_456,
                "jobs.weight": 2,
                "jobs.result_days": 90,
                "datasets.stored_bytes": 107_374_182_400,
                "alerts.rules": 500,
                "metrics.active_series": 200_000,
                "metrics.samples_per_second": 50_000,
                "metrics.labels": 30,
                "metrics.query_samples": 20_000_000,
                "metrics.retention_days": 400,
                "metrics.sockets": 1_000,
            },
        ),
        Tier("premium", UNLIMITED, QuotaWindow.DAY, 5_000.0, 20_000, {ALL: (ALL,)}),
    )
}
