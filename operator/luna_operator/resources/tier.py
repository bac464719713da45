"""A Tier resource as a value."""

from dataclasses import dataclass, field
from typing import Any, Self

from luna_operator.resources.limits import Limits


@dataclass(frozen=True, slots=True)
class TierResource:
    """Defaults that Accounts refer to by name."""

    name: str
    generation: int
    resource_version: str
    limits: Limits
    deleting: bool = False
    status: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, body: dict[str, Any]) -> Self:
        """Read a Tier as the API server sends it.

        Raises:
            ValueError: the schema was not enforced; the message names the field.
        """
        metadata = body["metadata"]
        return cls(
            name=metadata["name"],
            generation=int(metadata.get("generation", 1)),
            resource_version=metadata["resourceVersion"],
            limits=Limits.parse(body.get("spec") or {}),
            deleting="deletionTimestamp" in metadata,
            status=body.get("status") or {},
        )
