"""What an Account and a Tier both may set, and how the two are merged."""

from dataclasses import dataclass, fields
from math import ceil
from typing import Any, Self

from luna_operator.resources.fields import names, number, read, section, whole
from luna_store.accounts.tables import DEFAULT_QUOTA_LIMIT, DEFAULT_RATE_BURST, DEFAULT_RATE_PER_SECOND
from luna_store.quota.windows import QuotaWindow


@dataclass(frozen=True, slots=True)
class Limits:
    """The fields in the order of the resource; None where it says nothing."""

    quota_limit: int | None = None
    quota_window: QuotaWindow | None = None
    rate_per_second: float | None = None
    rate_burst: int | None = None
    allowed_models: tuple[str, ...] | None = None
    max_series_length: int | None = None
    max_series_per_request: int | None = None
    history_days: int | None = None

    @classmethod
    def parse(cls, spec: dict[str, Any]) -> Self:
        """Read a spec that the API server has validated.

        Raises:
            ValueError: it has not; the message names the field.
        """
        quota, rate, limits = (section(part, spec) for part in ("quota", "rateLimit", "limits"))
        return cls(
            quota_limit=read("quota.limit", quota.get("limit"), whole),
            quota_window=read("quota.window", quota.get("window"), _window),
            rate_per_second=read("rateLimit.requestsPerSecond", rate.get("requestsPerSecond"), number),
            rate_burst=read("rateLimit.burst", rate.get("burst"), whole),
            allowed_models=read("allowedModels", spec.get("allowedModels"), names),
            max_series_length=read("limits.maxSeriesLength", limits.get("maxSeriesLength"), whole),
            max_series_per_request=read("limits.maxSeriesPerRequest", limits.get("maxSeriesPerRequest"), whole),
            history_days=read("limits.historyDays", limits.get("historyDays"), whole),
        )

    def over(self, defaults: "Limits") -> "Limits":
        """These limits where they say something, else the others."""
        merged = {}
        for field in fields(self):
            own = getattr(self, field.name)
            merged[field.name] = getattr(defaults, field.name) if own is None else own
        return Limits(**merged)


DEFAULTS = Limits(
    quota_limit=DEFAULT_QUOTA_LIMIT,
    quota_window=QuotaWindow.LIFETIME,
    rate_per_second=DEFAULT_RATE_PER_SECOND,
    rate_burst=DEFAULT_RATE_BURST,
    allowed_models=("*",),
)


@dataclass(frozen=True, slots=True)
class EffectiveLimits:
    """What holds for an account: nothing is left open but the limits for which the server's own stand."""

    quota_limit: int
    quota_window: QuotaWindow
    rate_per_second: float
    rate_burst: int
    allowed_models: tuple[str, ...]
    max_series_length: int | None
    max_series_per_request: int | None
    history_days: int | None


def effective(account: Limits, tier: Limits | None) -> EffectiveLimits:
    """The Account's fields, else its Tier's, else Luna's own.

    A burst below the rate, which neither resource may hold by itself but a merge can give, is raised to the rate:
    a bucket smaller than one second's requests would deny what the rate allows.
    """
    merged = account.over(tier or Limits()).over(DEFAULTS)
    values = {field.name: getattr(merged, field.name) for field in fields(merged)}
    values["rate_burst"] = max(values["rate_burst"], ceil(values["rate_per_second"]))
    return EffectiveLimits(**values)


def _window(value: str) -> QuotaWindow:
    try:
        return QuotaWindow(value)
    except ValueError as e:
        raise ValueError(f"must be one of {', '.join(QuotaWindow)}, not {value!r}.") from e
