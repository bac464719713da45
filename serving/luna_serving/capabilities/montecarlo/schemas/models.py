"""The models of a request."""

from typing import Annotated, Any, Final, Literal

from pydantic import Field

from luna_serving.capabilities.montecarlo.schemas.numbers import (
    Correlation,
    Finite,
    NotNegative,
    Positive,
    Rate,
    Volatility,
)
from luna_serving.wire.strict import ByKind, StrictModel, kinds_of

MOST_ASSETS: Final = 100


class GbmModel(StrictModel):
    """Geometric Brownian motion, exact at any step."""

    kind: Literal["gbm"]
    spot: Positive
    rate: Rate = 0.0
    dividend_yield: Rate = 0.0
    volatility: Volatility


class HestonModel(StrictModel):
    """Heston's stochastic volatility, by Andersen's QE-M scheme."""

    kind: Literal["heston"]
    spot: Positive
    rate: Rate = 0.0
    dividend_yield: Rate = 0.0
    v0: NotNegative = Field(description="Variance per year at time 0.")
    kappa: Annotated[float, Field(gt=0.0, le=1000.0)] = Field(description="Speed of mean reversion, per year.")
    theta: NotNegative = Field(description="Variance per year in the long run.")
    sigma: Annotated[float, Field(gt=0.0, le=100.0)] = Field(description="Volatility of the variance.")
    rho: Correlation = Field(description="Correlation of price and variance.")


class MertonModel(GbmModel):
    """Geometric Brownian motion with lognormal jumps, compensated in the drift."""

    kind: Literal["merton"]  # type: ignore[assignment]
    intensity: Annotated[float, Field(ge=0.0, le=1000.0)] = Field(description="Jumps per year.")
    jump_mean: Annotated[float, Field(ge=-10.0, le=10.0)] = Field(description="Of log J.")
    jump_std: Annotated[float, Field(ge=0.0, le=10.0)] = Field(description="Of log J.")


class BatesModel(HestonModel):
    """Heston's model with Merton's jumps."""

    kind: Literal["bates"]  # type: ignore[assignment]
    intensity: Annotated[float, Field(ge=0.0, le=1000.0)] = Field(description="Jumps per year.")
    jump_mean: Annotated[float, Field(ge=-10.0, le=10.0)] = Field(description="Of log J.")
    jump_std: Annotated[float, Field(ge=0.0, le=10.0)] = Field(description="Of log J.")


class BasketAsset(StrictModel):
    """An asset of a basket."""

    spot: Positive
    volatility: Volatility
    dividend_yield: Rate = 0.0


class BasketModel(StrictModel):
    """Correlated geometric Brownian motions."""

    kind: Literal["basket"]
    assets: list[BasketAsset] = Field(min_length=1, max_length=MOST_ASSETS)
    rate: Rate = 0.0
    correlation: list[list[Correlation]] = Field(
        max_length=MOST_ASSETS, description="Positive semi-definite, with ones on the diagonal."
    )


class BootstrapModel(StrictModel):
    """Blocks of past returns, drawn with replacement; a step is a period. Exactly one of returns, dataset, symbols."""

    kind: Literal["bootstrap"]
    returns: list[Finite | list[Finite]] | None = Field(
        None, min_length=2, max_length=1_000_000, description="Simple returns: a row per period, an element per asset."
    )
    dataset: str | None = Field(
        None, min_length=1, max_length=200, description="A data set: an id, a name, or name@version."
    )
    series: list[str] | None = Field(None, min_length=1, max_length=MOST_ASSETS, description="Series of the data set.")
    columns: list[str] | None = Field(None, min_length=1, max_length=MOST_ASSETS, description="Columns of the series.")
    symbols: list[str] | None = Field(
        None, min_length=1, max_length=MOST_ASSETS, description="Symbols whose daily prices give the returns."
    )
    values: Literal["returns", "prices"] = Field("returns", description="What a data set holds.")
    block: int = Field(1, ge=1, le=10_000, description="Consecutive periods that are drawn together.")
    spot: Positive | list[Positive] = Field(1.0, description="Prices at time 0; one for all, or one per asset.")
    rate: Rate = Field(0.0, description="Per period, for discounting.")


class StateSpaceModel(StrictModel):
    """A state-space model of the Kalman routes that observes log prices or log returns; a step is a period."""

    kind: Literal["state_space"]
    model: dict[str, Any] = Field(description="The model, as the Kalman routes take it.")
    initial_state: list[float | None] | None = Field(
        None, max_length=64, description="State of the first period; null draws it from the model's start."
    )
    observations: Literal["log_returns", "log_prices"] = Field(
        "log_returns", description="What the model observes, in each period."
    )
    spot: Positive | list[Positive] = Field(1.0, description="Prices at time 0; one for all, or one per asset.")
    rate: Rate = Field(0.0, description="Per period, for discounting.")


AnyModel = GbmModel | HestonModel | MertonModel | BatesModel | BasketModel | BootstrapModel | StateSpaceModel
ModelMember = Annotated[AnyModel, Field(discriminator="kind"), ByKind(kinds_of(AnyModel))]
MODELS: Final = tuple(kinds_of(AnyModel))
