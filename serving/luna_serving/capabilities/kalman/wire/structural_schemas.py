"""The wire schemas of a structural model's components. One without "var" is fixed."""

from typing import Annotated, Any

from pydantic import Field

from luna_serving.engines.statespace.api.description import MAX_STATES
from luna_serving.wire.numbers import Numbers, Rows
from luna_serving.wire.strict import StrictModel

Variance = Annotated[float, Field(ge=0, description="A variance, in the square of the observations' unit.")]


class _Component(StrictModel):
    var: Variance | None = Field(None, description="Of its shocks, in the square of the observations' unit.")


class Level(_Component):
    """A level."""


class Trend(_Component):
    """A slope, added to the level each period."""


class Seasonal(_Component):
    """Seasonal effects that sum to about zero, by dummies."""

    # The engine refuses longer cycles, and names an alternative.
    period: int = Field(ge=2, description=f"Seasons in a cycle; at most {MAX_STATES + 1}.")
    duration: int | None = Field(
        None, ge=1, description="Steps that each season lasts, such as 24 for days of hourly data; default: 1."
    )


class FreqSeasonal(_Component):
    """Seasonal effects as a sum of waves."""

    period: float = Field(ge=2)
    harmonics: int | None = Field(None, ge=1, le=MAX_STATES // 2, description="Default: half the period.")


class Cycle(_Component):
    """A wave."""

    period: float = Field(ge=2, description="In steps of the series.")
    damping: float | None = Field(None, gt=0, le=1, description="What is left of it after a step; default: all.")


class Autoregression(StrictModel):
    """A stationary autoregression, added to the other components."""

    coefficients: list[float] = Field(min_length=1, max_length=MAX_STATES)
    var: Variance


class Regression(StrictModel):
    """Regressors, whose coefficients are states."""

    regressors: Annotated[Any, Rows()] = Field(
        description="One row per period, the forecast's periods included; one number per regressor. A row, or a "
        "number of it, may be null where no series has an observation."
    )
    var: Annotated[Any, Numbers(0, 1)] | None = Field(
        None, description="The variance of each coefficient's walk: one, or one per regressor. Default: fixed."
    )
