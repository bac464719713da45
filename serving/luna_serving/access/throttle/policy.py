"""What is limited, and how: values and pure functions."""

from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Protocol

from luna_serving.settings import ThrottleSettings


class Kind(StrEnum):
    """What is attempted."""

    LOGIN = "login"
    """Email and password."""
    REFRESH = "refresh"
    """A refresh token."""
    PASSWORD = "password"  # noqa: S105  a name
    """A link to set a password, or the present password when it is changed."""
    PROVIDER = "provider"
    """A callback of an OpenID provider."""
    KEY = "key"
    """An API key or an access token. Only failures are counted."""


@dataclass(frozen=True, slots=True)
class Policy:
    """A bucket of attempts: GCRA, then a block."""

    attempts: int
    """What a full bucket holds."""
    refill_s: float
    """Seconds until one attempt comes back."""
    block_s: float
    """Seconds of the block that begins with the first attempt beyond the bucket. Further ones do not extend it."""

    @property
    def refill_us(self) -> int:
        """Microseconds until one attempt comes back."""
        return microseconds(self.refill_s)

    @property
    def block_us(self) -> int:
        """Microseconds of the block."""
        return microseconds(self.block_s)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket with its Redis key."""

    key: str
    policy: Policy


@dataclass(frozen=True, slots=True)
class Taken:
    """The attempt may be made."""

    used: int
    """Attempts that the emptiest of its buckets now lacks, this one among them."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The attempt must not be made; nothing was taken."""

    wait_s: float
    """Seconds until the block ends."""


class Buckets(Protocol):
    """A store of buckets."""

    async def take(self, buckets: tuple[Bucket, ...]) -> Taken | Refused:
        """Take one attempt from each bucket, or none. An empty bucket begins its block.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        ...

    async def give_back(self, buckets: tuple[Bucket, ...]) -> None:
        """Give one attempt back to each bucket, and end its block: an attempt under way was no failure.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        ...


def microseconds(seconds: float) -> int:
    """At least one."""
    return max(1, round(seconds * 1e6))


def policies(settings: ThrottleSettings) -> dict[Kind, Policy]:
    """The policy of each kind, per address."""
    of_people = {
        Kind.LOGIN: settings.login_attempts,
        Kind.REFRESH: settings.refresh_attempts,
        Kind.PASSWORD: settings.password_attempts,
        Kind.PROVIDER: settings.provider_attempts,
    }
    return {
        **{kind: Policy(most, settings.refill_s, settings.block_s) for kind, most in of_people.items()},
        Kind.KEY: Policy(settings.key_failures, settings.key_refill_s, settings.key_block_s),
    }


def delay_s(earlier: int, settings: ThrottleSettings) -> float:
    """Seconds to wait before an attempt after `earlier` failures: none for the first few, then doubling."""
    doublings = earlier - settings.delay_after
    # Bounded: 2.0**1024 would overflow.
    return 0.0 if doublings < 0 else min(settings.delay_most_s, settings.delay_first_s * 2.0 ** min(doublings, 64))


def block_of(address: str) -> str:
    """What is counted as one caller: an IPv4 address, or the /64 network of an IPv6 address, which one host may fill.

    Args:
        address: canonical, as `TrustedProxies.address` gives it.
    """
    found = ip_address(address)
    if isinstance(found, IPv4Address):
        return address
    return f"{IPv6Address(int(found) >> 64 << 64)}/64"
