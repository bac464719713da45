"""The schemas of `/markowitz`: the body and the answer."""

from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field, GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from luna_serving.capabilities.markowitz.job import ObjectiveName
from luna_serving.wire.numbers import Numbers
from luna_serving.wire.strict import StrictModel

MAX_POINTS: Final = 1_000
MAX_NAME: Final = 64

Vector = Annotated[Any, Numbers(1, 1)]
Matrix = Annotated[Any, Numbers(2, 2)]


class GroupForm(StrictModel):
    """The sum of some weights lies between two numbers."""

    members: list[Annotated[int, Field(ge=0)]] = Field(min_length=1, description="Assets, from 0.")
    min: float | None = Field(None, description="The least sum of their weights.")
    max: float | None = Field(None, description="The largest.")


class TurnoverForm(StrictModel):
    """How much may be traded."""

    from_: Vector = Field(alias="from", description="The weights that are held.")
    max: float = Field(ge=0, description="The largest sum of |weight - from|; selling all and buying others is 2.")


class TrackingForm(StrictModel):
    """How far the portfolio may be from a benchmark."""

    benchmark: Vector = Field(description="The benchmark's weights.")
    max: float = Field(gt=0, description="The largest standard deviation of the return beyond the benchmark's.")


class ConstraintsForm(StrictModel):
    """What the portfolio may hold. The weights sum to 1 besides."""

    bounds: Annotated[Any, Numbers(1, 2)] | None = Field(
        None, description="[least, largest] weight per asset, or once for all; [0, 1] by default. Negative: short."
    )
    groups: list[GroupForm] = Field([], max_length=1_000, description="Limits on sums of weights.")
    turnover: TurnoverForm | None = None
    tracking_error: TrackingForm | None = None


class ViewForm(StrictModel):
    """A portfolio is expected to return a number."""

    weights: Vector = Field(description="Sum 1 for an absolute view, 0 for a relative one.")
    mean: float = Field(description="Its expected return.")
    variance: float | None = Field(
        None, ge=0, description="Of the view; by default tau times the portfolio's variance. 0 is certain."
    )


class BlackLittermanForm(StrictModel):
    """The market in equilibrium, and views."""

    kind: Literal["black_litterman"]
    market_weights: Vector = Field(description="Weights of the market portfolio.")
    risk_aversion: float = Field(2.5, gt=0, le=1e6)
    tau: float = Field(0.05, gt=0, le=1e6, description="Uncertainty of the equilibrium, as a share of the covariance.")
    views: list[ViewForm] = Field([], max_length=1_000)
    covariance: Literal["sample", "ledoit_wolf", "oas"] = Field("sample", description="Where returns are sent.")


class EwmForm(StrictModel):
    """Exponentially weighted moments."""

    kind: Literal["ewm"]
    decay: float = Field(0.94, gt=0, lt=1, description="By which weights fall per period back.")


class PlainForm(StrictModel):
    """An estimator without parameters."""

    kind: Literal["sample", "ledoit_wolf", "oas", "kalman"]


ESTIMATORS: Final[dict[str, type[StrictModel]]] = {
    "sample": PlainForm,
    "ledoit_wolf": PlainForm,
    "oas": PlainForm,
    "kalman": PlainForm,
    "ewm": EwmForm,
    "black_litterman": BlackLittermanForm,
}
# Members of an estimator that may stand in the body, where `estimator` is its name.
BESIDE: Final = ("market_weights", "risk_aversion", "tau", "views", "covariance", "decay")


class DatasetForm(StrictModel):
    """Series of a valid data set of the account: one asset per series and column."""

    dataset: str = Field(min_length=1, max_length=80, description="`name@version`, a name, or an id.")
    series: list[str] | None = Field(None, min_length=1, description="Their names; all by default.")
    columns: str | list[str] | None = Field(None, description="Columns of numbers; all by default.")


class SymbolsForm(StrictModel):
    """Closing prices of symbols of a market, adjusted for splits and dividends."""

    symbols: list[Annotated[str, Field(min_length=1, max_length=MAX_NAME)]] = Field(min_length=1, max_length=5_000)
    interval: Literal["1d", "1w", "1mo"] = Field("1d", description="Of the bars.")
    last: int | None = Field(None, ge=3, description="The last so many common bars; all by default.")


@dataclass(frozen=True, slots=True)
class Shown:
    """In `Annotated[Any, Shown(type)]`: of any type for pydantic, since the parser reads it; of this one in OpenAPI."""

    type: Any

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """How pydantic checks it: not at all."""
        return core_schema.any_schema()

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """How OpenAPI describes it."""
        return handler(TypeAdapter(self.type).core_schema)


EstimatorName = Literal["sample", "ledoit_wolf", "oas", "ewm", "black_litterman", "kalman"]
Estimators = EstimatorName | BlackLittermanForm | EwmForm | PlainForm
Rows = list[list[float]]


class MarkowitzRequest(StrictModel):
    """One portfolio problem: data, objective, constraints."""

    objective: ObjectiveName
    target: float | None = Field(None, description="Of target_return and target_risk, per period of the data.")
    level: float = Field(0.95, gt=0, lt=1, description="Of min_cvar: the share of better scenarios.")
    risk_free: float = Field(0.0, description="The risk-free return per period, of the ratio of Sharpe.")
    points: int = Field(50, ge=2, le=MAX_POINTS, description="Of efficient_frontier, evenly spaced in return.")
    mean: Vector | None = Field(None, description="Expected returns. With `cov`, in place of data.")
    cov: Matrix | None = Field(None, description="Covariance of returns: symmetric, positive semidefinite.")
    returns: Annotated[Any, Shown(Rows | DatasetForm)] = Field(
        None, description="One row per period, oldest first, with a return per asset; or a data set."
    )
    prices: Annotated[Any, Shown(Rows | DatasetForm | SymbolsForm)] = Field(
        None, description="As `returns`, with prices: simple returns are made of them. A data set, or symbols."
    )
    dataset: str | None = Field(None, min_length=1, max_length=80, description="A data set of returns.")
    symbols: list[str] | None = Field(None, min_length=1, description="Symbols whose daily prices are used.")
    assets: list[Annotated[str, Field(max_length=MAX_NAME)]] | None = Field(
        None, min_length=1, description="Names of the assets, for the answer and the chart."
    )
    estimator: Annotated[Any, Shown(Estimators)] = Field(
        "sample", description="How moments come from returns: a name, or an object with `kind`."
    )
    market_weights: Annotated[Any, Shown(list[float])] = Field(
        None, description="Of black_litterman, where `estimator` is its name; as those below."
    )
    risk_aversion: Annotated[Any, Shown(float)] = None
    tau: Annotated[Any, Shown(float)] = None
    views: Annotated[Any, Shown(list[ViewForm])] = None
    covariance: Annotated[Any, Shown(str)] = None
    decay: Annotated[Any, Shown(float)] = Field(None, description="Of ewm, where `estimator` is its name.")
    constraints: ConstraintsForm = ConstraintsForm()


class Binding(BaseModel):
    """A constraint that holds with equality."""

    constraint: str = Field(description="JSON pointer into the body; of a default bound, where it would stand.")
    price: float = Field(description="By how much the objective improves per unit that the constraint is relaxed.")


class Asset(BaseModel):
    """One asset alone."""

    name: str
    expected_return: float | None
    risk: float


class PortfolioPoint(BaseModel):
    """A portfolio on the frontier."""

    expected_return: float
    risk: float
    sharpe: float | None
    weights: list[float]


class PosteriorAnswer(BaseModel):
    """What the market and the views say together."""

    mean: list[float]
    prior: list[float] = Field(description="Expected returns for which the market's weights are optimal.")
    weights: list[float] = Field(description="Optimal without constraints; what is missing to 1 is cash.")


class PortfolioPlan(BaseModel):
    """How it was computed."""

    objective: str
    method: str
    assets: int
    estimator: str | None = None
    periods: int | None = None


class MarkowitzAnswer(BaseModel):
    """The portfolio; of `efficient_frontier`, `corners` and `points` in place of `weights` to `risk_contributions`."""

    weights: list[float] | None = Field(None, description="They sum to 1 within 1e-12.")
    expected_return: float | None = Field(None, description="null where only `cov` was sent.")
    risk: float | None = Field(None, description="Standard deviation of the return.")
    sharpe: float | None = Field(None, description="(expected_return - risk_free) / risk; null without risk.")
    binding: list[Binding] | None = None
    risk_contributions: list[float] | None = Field(None, description="They sum to `risk`.")
    cvar: float | None = Field(None, description="Of min_cvar: the mean of the worst losses.")
    var: float | None = Field(None, description="Of min_cvar: the loss that a share `level` of periods stays below.")
    level: float | None = None
    corners: list[PortfolioPoint] | None = Field(None, description="Between two of them the frontier mixes these.")
    points: list[PortfolioPoint] | None = None
    kkt_residual: float = Field(description="The largest violation of the conditions of an optimum.")
    assets: list[Asset]
    shrinkage: float | None = Field(None, description="Of ledoit_wolf and oas: the share of the target.")
    posterior: PosteriorAnswer | None = Field(None, description="Of black_litterman.")
    dataset: dict[str, Any] | None = Field(None, description="The data set that was used.")
    plan: PortfolioPlan
