"""Bodies and answers of the routes of keys."""

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from luna_serving.wire.strict import StrictModel
from luna_store.accounts.accounts import KeyInfo

# A day, as in an Account; and a year.
OVERLAP_S = 86_400
LONGEST_OVERLAP_S = 31_536_000
EXAMPLE: dict[str, Any] = {
    "prefix": "luna_4fGk29Zq",
    "created_at": "2026-11-21T12:00:00Z",
    "expires_at": None,
    "state": "Active",
}


class KeyRequest(StrictModel):
    """How a new key is to replace the present ones."""

    overlap_s: int = Field(
        OVERLAP_S,
        ge=0,
        le=LONGEST_OVERLAP_S,
        description="How long the present keys stay valid, in seconds; 0 ends them now.",
    )


class KeyAnswer(BaseModel):
    """A key, without the key."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    prefix: str = Field(description="The beginning of the key, which names it and opens nothing.")
    created_at: datetime
    expires_at: datetime | None = Field(description="null for a key that is not being replaced.")
    state: Literal["Active", "Retiring"]

    @classmethod
    def of(cls, key: KeyInfo) -> "KeyAnswer":
        """The answer for a key."""
        return cls.model_validate(
            {
                "prefix": key.prefix,
                "created_at": key.created_at,
                "expires_at": key.expires_at,
                "state": key.state,
            }
        )


class KeyList(BaseModel):
    """The keys that are valid now, the newest first."""

    items: list[KeyAnswer]


class IssuedKey(KeyAnswer):
    """A new key."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE | {"key": "luna_4fGk29Zq_..."}]})

    key: str | None = Field(
        description="The key, which is shown here alone; null where a call is answered again by its Idempotency-Key."
    )
