"""The settings of the capability: LUNA_MARKOWITZ_<FIELD>."""

from pydantic import Field

from luna_serving.settings import ReplicaSettings


class MarkowitzSettings(ReplicaSettings):
    """Portfolios and efficient frontiers."""

    max_assets: int = Field(
        1_000, ge=2, le=5_000, description="Assets of one portfolio; a covariance of more takes 8 MB and minutes."
    )
    max_periods: int = Field(
        100_000, ge=3, description="Periods of returns or prices; the body's size limits their number with the assets."
    )
    threads: int = Field(
        4, ge=1, le=64, description="Portfolios that one replica computes at once; the linear algebra frees the cores."
    )
