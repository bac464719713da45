"""What both an Account and a Tier may set, and how the two are merged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from math import ceil
from typing import Any, Self, TypeVar

from luna_operator.resources.fields import names, number, read, section, whole
from luna_store import limits
from luna_store.accounts.tables import DEFAULT_QUOTA_LIMIT, DEFAULT_RATE_BURST, DEFAULT_RATE_PER_SECOND
from luna_store.grants import Grants
from luna_store.quota.windows import QuotaWindow

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Limits:
    """The fields in the order of the resource; None where one is not set."""

    quota_limit: int | None = None
    quota_window: QuotaWindow | None = None
    rate_per_second: float | None = None
    rate_burst: int | None = None
    allowed: Grants = field(default_factory=Grants)
    limits: Mapping[str, int] = field(default_factory=dict)
    """The limits that are set, by the names of `luna_store.limits`."""

    @classmethod
    def parse(cls, spec: dict[str, Any]) -> Self:
        """Read a spec that the API server has validated.

        Raises:
            ValueError: the API server did not; the message names the field.
        """
        quota, rate = (section(part, spec) for part in ("quota", "rateLimit"))
        return cls(
            quota_limit=read("quota.limit", quota.get("limit"), whole),
            quota_window=read("quota.window", quota.get("window"), _window),
            rate_per_second=read("rateLimit.requestsPerSecond", rate.get("requestsPerSecond"), number),
            rate_burst=read("rateLimit.burst", rate.get("burst"), whole),
            allowed=_grants(spec),
            limits=_limits(section("limits", spec)),
        )

    def over(self, defaults: "Limits") -> "Limits":
        """These values where they are set, else the others."""
        return Limits(
            quota_limit=_first(self.quota_limit, defaults.quota_limit),
            quota_window=_first(self.quota_window, defaults.quota_window),
            rate_per_second=_first(self.rate_per_second, defaults.rate_per_second),
            rate_burst=_first(self.rate_burst, defaults.rate_burst),
            allowed=self.allowed.over(defaults.allowed),
            limits={**defaults.limits, **self.limits},
        )


DEFAULTS = Limits(
    quota_limit=DEFAULT_QUOTA_LIMIT,
    quota_window=QuotaWindow.LIFETIME,
    rate_per_second=DEFAULT_RATE_PER_SECOND,
    rate_burst=DEFAULT_RATE_BURST,
)


@dataclass(frozen=True, slots=True)
class EffectiveLimits:
    """What applies to an account. A limit that is not set is absent: its default, or the server's own, applies."""

    quota_limit: int
    quota_window: QuotaWindow
    rate_per_second: float
    rate_burst: int
    allowed: Mapping[str, Sequence[str]]
    limits: Mapping[str, int]


def effective(account: Limits, tier: Limits | None) -> EffectiveLimits:
    """The Account's fields, else its Tier's, else Luna's own.

    A merge can give a burst below the rate, which neither resource may have by itself. It is raised to the rate: a
    bucket smaller than one second's requests would deny what the rate allows.
    """
    merged = account.over(tier or Limits()).over(DEFAULTS)
    values = {field.name: getattr(merged, field.name) for field in fields(merged)}
    values["allowed"] = merged.allowed.in_force()
    values["rate_burst"] = max(values["rate_burst"], ceil(values["rate_per_second"]))
    return EffectiveLimits(**values)


def _first(own: Value | None, default: Value | None) -> Value | None:
    return default if own is None else own


def _grants(spec: dict[str, Any]) -> Grants:
    models = read("allowedModels", spec.get("allowedModels"), names)
    listed = section("allowed", spec) if spec.get("allowed") is not None else None
    allowed = listed and {name: read(f"allowed.{name}", each, names) or () for name, each in listed.items()}
    return read("allowed", (allowed, models), lambda both: Grants.of(*both)) or Grants()


def _limits(spec: dict[str, Any]) -> dict[str, int]:
    found = {}
    for limit in limits.LIMITS:
        value = read(limit.path.removeprefix("spec."), spec.get(limit.field), whole)
        if value is not None:
            found[limit.name] = value
    return found


def _window(value: str) -> QuotaWindow:
    try:
        return QuotaWindow(value)
    except ValueError as e:
        raise ValueError(f"must be one of {', '.join(QuotaWindow)}, not {value!r}.") from e
