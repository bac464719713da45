"""A stored model where a request takes a model: `{"name": "my-model", "version": 3}`."""

from typing import Any, TypeGuard

from pydantic import BaseModel, ConfigDict, Discriminator, Field

from luna_serving.capabilities.kalman.store.models import MAX_VERSION, NAME


class NamedModel(BaseModel):
    """A model that was stored by `PUT /api/v1/{account_id}/models/{name}`."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    name: str = Field(pattern=f"^{NAME.pattern}$")
    version: int | None = Field(None, ge=1, le=MAX_VERSION, description="Default: the latest.")


def names_a_model(words: object) -> TypeGuard[dict[str, Any]]:
    """Whether the words name a stored model instead of describing one."""
    return isinstance(words, dict) and "kind" not in words and bool(words.keys() & NamedModel.model_fields.keys())


def read_reference(words: object) -> NamedModel | None:
    """The stored model that the words name, in a form that was read; None where they describe one themselves."""
    return NamedModel.model_validate(words) if names_a_model(words) else None


# In `Annotated[Annotated[Model, Tag("described")] | Annotated[NamedModel, Tag("named")], BY_WAY]`: by which way a
# request gives its model. The tags stand in pydantic's paths, but not in the body.
WAYS = frozenset({"described", "named"})
BY_WAY = Discriminator(lambda words: "named" if names_a_model(words) else "described")
