"""What all groups of settings are, and the groups from which those of capabilities and deployments derive."""

from collections.abc import Mapping
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Group(BaseModel):
    """Settings of one part. A misspelt name is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Scaled(Group):
    """Settings of a Serve deployment that scales."""

    replicas_min: int = Field(1, ge=1, description="Replicas that always run.")
    replicas_max: int = Field(1, ge=1, description="Replicas under full load.")
    replicas_per_node: int = Field(
        0,
        ge=0,
        le=100,
        description="Replicas on one node at most, so that the loss of one does not take all; 0: as many as fit. The "
        "chart sets it.",
    )
    cpus: float = Field(0.5, ge=0, description="CPU cores that Ray reserves for a replica.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.replicas_min > self.replicas_max:
            raise ValueError(f"replicas_min ({self.replicas_min}) must not exceed replicas_max ({self.replicas_max}).")
        return self


class CapabilitySettings(Group):
    """Settings of a capability; the base of those that compute nothing."""

    def ceilings(self) -> Mapping[str, int]:
        """The server's own limits, which those of an account can only lower, by the limit's name."""
        return {}


class ShardSettings(CapabilitySettings):
    """Settings of a capability that keeps state of accounts in processes of its own, each account in one of them."""

    shards: int = Field(
        1,
        ge=1,
        le=256,
        description="Processes that keep state of accounts in memory, each account in one of them. A change moves "
        "accounts, which takes seconds.",
    )
    shard_cpus: float = Field(0.5, ge=0, description="CPU cores that Ray reserves for a shard.")
