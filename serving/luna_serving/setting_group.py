"""What all groups of settings are; `luna_serving.settings` gathers them."""

from pydantic import BaseModel, ConfigDict


class Group(BaseModel):
    """Settings of one part. A misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
