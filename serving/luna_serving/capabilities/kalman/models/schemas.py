"""The wire schemas of the routes of named models."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from luna_serving.capabilities.kalman.wire.kind_schemas import Model

EXAMPLE_MODEL = {"kind": "local_level", "obs_var": 15099.0, "level_var": 1469.1}
EXAMPLE: dict[str, Any] = {"name": "nile", "version": 1, "model": EXAMPLE_MODEL, "created_at": "2026-11-21T12:00:00Z"}


class ModelVersion(BaseModel):
    """A version of a named model, without the model."""

    name: str
    version: int = Field(description="1, 2, 3, ...; a number that was given once never means another model.")
    kind: str
    created_at: datetime


class StoredModel(BaseModel):
    """A version of a named model."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    name: str
    version: int = Field(description="What a request names together with `name`; without it, it gets the latest.")
    model: Model = Field(description="As it was put.")
    created_at: datetime


class ModelPage(BaseModel):
    """The account's models by name, each with its latest version."""

    models: list[ModelVersion]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")
    next_after: str | None = Field(description="`after` of the next page; null on the last.")


class VersionPage(BaseModel):
    """A model's versions, the newest first."""

    versions: list[ModelVersion]
    next_cursor: str | None = Field(description="`cursor` of the next page; null on the last.")
    next_before: int | None = Field(description="`before` of the next page; null on the last.")
