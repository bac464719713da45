"""An Account resource as a value."""

import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from luna_operator.resources.durations import parse_duration
from luna_operator.resources.fields import flag, read, section
from luna_operator.resources.limits import Limits
from luna_operator.resources.members import Members
from luna_operator.resources.names import FINALIZER, Key

# The schema's default, for resources that were stored before the schema had it.
ROTATION_INTERVAL = "2160h"
ROTATION_OVERLAP = "24h"


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """`spec.apiKey`: the Secret, and when its key is rotated."""

    secret_name: str
    rotation_interval: timedelta | None
    """None: no periodic rotation."""
    rotation_overlap: timedelta
    rotation_requested_at: datetime | None
    """A request: each new value causes one rotation."""


@dataclass(frozen=True, slots=True)
class AccountResource:
    """What a reconciliation needs of an Account."""

    key: Key
    uid: uuid.UUID
    generation: int
    resource_version: str
    deleting: bool
    finalizers: tuple[str, ...]
    display_name: str
    tier: str | None
    limits: Limits
    suspended: bool
    expires_at: datetime | None
    api_key: KeyPolicy
    retain: bool
    members: Members = field(default_factory=Members)
    status: dict[str, Any] = field(default_factory=dict)
    """The status as it was last written; `plan.status` defines its shape."""

    @classmethod
    def parse(cls, body: dict[str, Any]) -> Self:
        """Read an Account as the API server sends it.

        Raises:
            ValueError: the schema was not enforced; the message names the field and the cure.
        """
        metadata, spec = body["metadata"], body.get("spec") or {}
        return cls(
            key=Key(metadata["namespace"], metadata["name"]),
            uid=uuid.UUID(metadata["uid"]),
            generation=int(metadata.get("generation", 1)),
            resource_version=metadata["resourceVersion"],
            deleting="deletionTimestamp" in metadata,
            finalizers=tuple(metadata.get("finalizers") or ()),
            display_name=spec.get("displayName") or "",
            tier=spec.get("tier"),
            limits=Limits.parse(spec),
            suspended=read("suspended", spec.get("suspended"), flag) or False,
            expires_at=read("expiresAt", spec.get("expiresAt"), parse_time),
            api_key=_key_policy(section("apiKey", spec), metadata["name"]),
            retain=spec.get("deletionPolicy", "Retain") != "Delete",
            members=Members.parse(spec),
            status=body.get("status") or {},
        )

    @property
    def finalized(self) -> bool:
        """Whether it has Luna's finalizer."""
        return FINALIZER in self.finalizers

    @property
    def observed(self) -> bool:
        """Whether the status is of this generation."""
        return bool(self.status.get("observedGeneration") == self.generation)


def _key_policy(spec: dict[str, Any], name: str) -> KeyPolicy:
    interval = _duration("rotationInterval", spec, ROTATION_INTERVAL)
    return KeyPolicy(
        secret_name=spec.get("secretName") or f"{name}-luna-key",
        rotation_interval=interval or None,
        rotation_overlap=_duration("rotationOverlap", spec, ROTATION_OVERLAP),
        rotation_requested_at=read("apiKey.rotationRequestedAt", spec.get("rotationRequestedAt"), parse_time),
    )


def _duration(name: str, spec: dict[str, Any], default: str) -> timedelta:
    return read(f"apiKey.{name}", spec.get(name) or default, parse_duration) or timedelta()


def parse_time(text: str | None) -> datetime | None:
    """An RFC 3339 instant, UTC.

    Raises:
        ValueError: the text is not one.
    """
    if text is None:
        return None
    try:
        instant = datetime.fromisoformat(text)
        # The end of year 9999 west of Greenwich overflows in UTC.
        in_utc = instant.astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as e:
        raise ValueError(f"{text!r} is no time; write it as 2027-01-31T00:00:00Z.") from e
    if instant.tzinfo is None:
        raise ValueError(f"{text!r} has no time zone; write it as 2027-01-31T00:00:00Z.")
    return in_utc


def format_time(instant: datetime | None) -> str | None:
    """An instant as the Kubernetes API writes it: UTC, whole seconds."""
    return None if instant is None else instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
