"""A stored model where a request takes a model: `{"name": "my-model", "version": 3}`."""

from typing import Any, TypeGuard

from pydantic import Field

from luna_serving.capabilities.kalman.store.models import MAX_VERSION, NAME
from luna_serving.wire.strict import StrictModel


class NamedModel(StrictModel):
    """A model that was stored by `PUT /api/v1/{account_id}/models/{name}`."""

    name: str = Field(pattern=f"^{NAME.pattern}$")
    version: int | None = Field(None, ge=1, le=MAX_VERSION, description="Default: the latest.")


def names_a_model(member: object) -> TypeGuard[dict[str, Any]]:
    """Whether a request's member names a stored model instead of describing one."""
    return isinstance(member, dict) and "kind" not in member and bool(member.keys() & NamedModel.model_fields.keys())
