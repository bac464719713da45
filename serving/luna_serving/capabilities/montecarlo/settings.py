"""The settings of the capability: LUNA_MONTECARLO_<FIELD>."""

from pydantic import Field

from luna_serving.settings import ReplicaSettings


class MonteCarloSettings(ReplicaSettings):
    """Monte Carlo valuation."""

    threads: int = Field(
        2,
        ge=1,
        le=64,
        description="Blocks that a replica computes at once; NumPy leaves the interpreter while it computes. As many "
        "as it has cores.",
    )
    ahead: int = Field(
        16,
        ge=1,
        le=1000,
        description="Tasks of blocks that a job has under way at once, over all replicas: twice their threads keep "
        "them busy.",
    )
