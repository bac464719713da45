"""Debits and decisions: plain values, the same for both stores."""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from math import ceil

# Refund ids are derived, so that a retried refund has the id of the first.
REFUND_NAMESPACE = uuid.UUID("5d2f4c1e-8c1b-4c55-9a35-7d7b0f6f1f0a")


@dataclass(frozen=True, slots=True)
class Grant:
    """A name in the vocabulary of a capability, as in `allowed: {kalman: [arima]}` of an Account."""

    capability: str
    name: str


@dataclass(frozen=True, slots=True)
class Debit:
    """One request to charge an account."""

    account_id: int
    key_prefix: str
    """`luna_<id>` of the key that was presented, or that the token was issued for."""
    key_digests: tuple[str, ...]
    """The presented key's digest under each pepper; empty when a signed token already vouches for the prefix."""
    units: int
    """What the request costs: of each capability its page says what a unit is. 0 asks for the standing only."""
    debit_id: uuid.UUID
    route: str
    grant: Grant | None = None
    """The grant that the call needs; None for none."""
    amounts: Mapping[str, int] = field(default_factory=dict)
    """Amounts that the call holds, by the limit's name."""
    traceparent: str = ""
    """The span of the request, which settlement links to; empty where it is not traced."""

    @property
    def refund_id(self) -> uuid.UUID:
        """The id of this debit's one refund."""
        return uuid.uuid5(REFUND_NAMESPACE, self.debit_id.hex)


class Outcome(StrEnum):
    """Why a debit was admitted or denied."""

    OK = "ok"
    UNKNOWN = "unknown"
    """The store does not know the account (yet): ask Postgres to rebuild it."""
    KEY = "key"
    """The key is not (or no longer) one of this account's."""
    SUSPENDED = "suspended"
    EXPIRED = "expired"
    GRANT = "grant"
    """The account lacks the debit's `grant`."""
    LIMIT = "limit"
    """One of the debit's `amounts` exceeds the account's limit; `Decision.exceeded` names it."""
    RATE = "rate"
    QUOTA = "quota"


@dataclass(frozen=True, slots=True)
class Standing:
    """An account's quota, rate and limits at the instant of the answer."""

    quota_limit: int
    quota_left: int
    """Limit less used; negative after an overdraft, or after the limit was lowered."""
    window_ends_at_ms: int
    """Unix milliseconds; 0 for a Lifetime quota."""
    window_s: int
    """The length of the window in seconds; 0 for a Lifetime quota."""
    burst: int
    tokens_left: int
    interval_us: int
    """Microseconds in which one token comes back."""
    wait_us: int
    """Microseconds until the rate admits the next request; 0 unless the rate denied it."""
    limits: Mapping[str, int] = field(default_factory=dict)
    """The account's limits (`luna_store.limits`), by name; the server's own applies where one is absent."""

    @property
    def remaining(self) -> int:
        """Units that may still be used."""
        return max(0, self.quota_left)

    @property
    def retry_after_s(self) -> int:
        """Whole seconds to wait after the rate denied a request, at least 1."""
        return max(1, ceil(self.wait_us / 1e6))


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a debit. `standing` is None if the caller was not recognised."""

    outcome: Outcome
    standing: Standing | None = None
    exceeded: str | None = None
    """The limit that was exceeded, for Outcome.LIMIT; one of `standing.limits`."""

    @property
    def admitted(self) -> bool:
        """Whether the request may be served (and was debited)."""
        return self.outcome is Outcome.OK


class StoreUnavailable(Exception):
    """A store did not answer. `uncertain`: it may have acted nevertheless."""

    def __init__(self, store: str, *, uncertain: bool) -> None:
        super().__init__(f"{store} is not available.")
        self.store = store
        self.uncertain = uncertain
