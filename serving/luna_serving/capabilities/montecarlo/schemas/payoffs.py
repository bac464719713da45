"""The payoffs of a request."""

from typing import Annotated, Final, Literal

from pydantic import Field

from luna_serving.capabilities.montecarlo.schemas.models import MOST_ASSETS
from luna_serving.capabilities.montecarlo.schemas.numbers import Finite, Level, NotNegative, OptionType, Positive
from luna_serving.wire.strict import ByKind, StrictModel, kinds_of

MOST_DATES: Final = 10_000


class EuropeanPayoff(StrictModel):
    """Exercised at expiry."""

    kind: Literal["european"]
    type: OptionType
    strike: Positive


class DigitalPayoff(StrictModel):
    """Pays cash if the price at expiry is above (call) or below (put) the strike."""

    kind: Literal["digital"]
    type: OptionType
    strike: Positive
    cash: Positive = 1.0


class AsianPayoff(StrictModel):
    """On the average of the prices at the fixings."""

    kind: Literal["asian"]
    type: OptionType
    strike: Positive
    average: Literal["arithmetic", "geometric"] = "arithmetic"
    fixings: Annotated[int, Field(ge=1, le=MOST_DATES)] | list[Positive] = Field(
        description="A number n, for the times i T / n, i = 1..n; or a list of years, increasing, at most expiry."
    )


class LookbackPayoff(StrictModel):
    """On the extreme, monitored continuously: floating without a strike, fixed with one."""

    kind: Literal["lookback"]
    type: OptionType
    strike: Positive | None = None


class BarrierPayoff(StrictModel):
    """A European option that a barrier, monitored continuously, knocks in or out."""

    kind: Literal["barrier"]
    type: OptionType
    strike: Positive
    barrier: Positive
    direction: Literal["up", "down"]
    knock: Literal["in", "out"]
    rebate: NotNegative = Field(0.0, description="Paid at the hit by `out`, at expiry by `in` that was never hit.")


class AmericanPayoff(StrictModel):
    """May be exercised at each of the `steps` dates."""

    kind: Literal["american"]
    type: OptionType
    strike: Positive
    upper_bound: bool = Field(False, description="Also the dual upper bound, by nested simulation.")


class BermudanPayoff(StrictModel):
    """May be exercised at its dates, and at expiry."""

    kind: Literal["bermudan"]
    type: OptionType
    strike: Positive
    exercise_dates: list[Positive] = Field(
        min_length=1, max_length=MOST_DATES, description="Years, increasing, at most expiry."
    )
    upper_bound: bool = Field(False, description="Also the dual upper bound, by nested simulation.")


class BasketPayoff(StrictModel):
    """On the weighted sum of the prices."""

    kind: Literal["basket"]
    type: OptionType
    strike: Finite
    weights: list[Finite] = Field(min_length=1, max_length=MOST_ASSETS)


class SpreadPayoff(StrictModel):
    """On the difference of the first two prices: S1 - S2 - K."""

    kind: Literal["spread"]
    type: OptionType = "call"
    strike: Finite = 0.0


class BestOfPayoff(StrictModel):
    """On the highest price."""

    kind: Literal["best_of"]
    type: OptionType
    strike: NotNegative


class WorstOfPayoff(StrictModel):
    """On the lowest price."""

    kind: Literal["worst_of"]
    type: OptionType
    strike: NotNegative


class PortfolioPayoff(StrictModel):
    """Profit of a portfolio over the horizon, as a fraction of its value, with value at risk and expected shortfall."""

    kind: Literal["portfolio"]
    weights: list[Finite] = Field(min_length=1, max_length=MOST_ASSETS)
    horizon: Positive = Field(description="Years; periods for `bootstrap` and `state_space`.")
    levels: list[Level] = Field([0.95, 0.99], min_length=1, max_length=10)


AnyPayoff = (
    EuropeanPayoff
    | DigitalPayoff
    | AsianPayoff
    | LookbackPayoff
    | BarrierPayoff
    | AmericanPayoff
    | BermudanPayoff
    | BasketPayoff
    | SpreadPayoff
    | BestOfPayoff
    | WorstOfPayoff
    | PortfolioPayoff
)
PayoffMember = Annotated[AnyPayoff, Field(discriminator="kind"), ByKind(kinds_of(AnyPayoff))]
