"""The wire schemas of models, one per kind; `engines.statespace.kinds` checks their meaning and builds them."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, JsonValue

from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.wire.start_schemas import Initial
from luna_serving.capabilities.kalman.wire.structural_schemas import (
    Autoregression,
    Cycle,
    FreqSeasonal,
    Level,
    Regression,
    Seasonal,
    Trend,
    Variance,
)
from luna_serving.engines.statespace.api.description import LARGEST_POWER, MAX_STATES
from luna_serving.wire.numbers import Numbers
from luna_serving.wire.strict import ByKind, StrictModel, kinds_of

Order = Annotated[int, Field(ge=0, le=MAX_STATES)]
# A bound of the orders and the period; the engine's errors name the one that makes the model too large, and a cure.
SeasonalOrder = Annotated[int, Field(ge=0)]
Lags = Annotated[list[float], Field(max_length=MAX_STATES)]
Steps = Annotated[
    Any,
    Numbers(0, 1),
    Field(
        description="Time between observations: one number, or a list of which dt[t] leads to observation t + 1. In a "
        "list 0 joins two observations of one instant."
    ),
]


def _shown(**example: JsonValue) -> ConfigDict:
    return ConfigDict(json_schema_extra={"examples": [example]})


class _Kind(StrictModel):
    initial: Initial | None = Field(None, description="Where the state starts; default: exact diffuse.")

    def spec(self) -> ModelSpec:
        """The model as a hashable spec."""
        fields = self.to_json()
        return ModelSpec.of(fields.pop("kind"), fields)


class LocalLevel(_Kind):
    """A level that walks at random, observed with noise."""

    model_config = _shown(kind="local_level", obs_var=15099.0, level_var=1469.1)

    kind: Literal["local_level"] = "local_level"
    obs_var: Variance = 1.0
    level_var: Variance = 0.1


class LocalLinearTrend(_Kind):
    """A level with a slope; both walk at random."""

    model_config = _shown(kind="local_linear_trend", obs_var=1.0, level_var=0.1, trend_var=0.01)

    kind: Literal["local_linear_trend"]
    obs_var: Variance
    level_var: Variance
    trend_var: Variance


class ConstantVelocity(_Kind):
    """A position with a velocity that random accelerations change; the position is observed."""

    model_config = _shown(kind="constant_velocity", dt=0.5, obs_var=4.0, accel_var=0.2)

    kind: Literal["constant_velocity"]
    dt: Steps
    obs_var: Variance
    accel_var: Variance


class ConstantAcceleration(_Kind):
    """A position with a velocity and an acceleration that jumps at random; the position is observed."""

    model_config = _shown(kind="constant_acceleration", dt=[1.0, 1.0, 2.5], obs_var=4.0, accel_var=0.2)

    kind: Literal["constant_acceleration"]
    dt: Steps
    obs_var: Variance
    accel_var: Variance


class Structural(_Kind):
    """A sum of components, at least one, plus noise, as statsmodels' UnobservedComponents."""

    model_config = _shown(
        kind="structural", obs_var=1.0, level={"var": 0.1}, trend={}, seasonal={"period": 12, "var": 0.05}
    )

    kind: Literal["structural"]
    obs_var: Variance = 0.0
    level: Level | None = None
    trend: Trend | None = None
    seasonal: Seasonal | None = None
    freq_seasonal: list[FreqSeasonal] = Field([], max_length=8)
    cycle: Cycle | None = None
    ar: Autoregression | None = None
    regression: Regression | None = None
    initial: Initial | None = Field(
        None, description="Default: exact diffuse; an autoregression and a damped cycle start stationary."
    )


class Arima(_Kind):
    """Seasonal ARIMA of the series itself, with the signs of statsmodels' SARIMAX, and with regressors."""

    model_config = _shown(
        kind="arima", order=[0, 1, 1], seasonal_order=[0, 1, 1, 12], ma=[-0.4018], seasonal_ma=[-0.5569], var=0.00135
    )

    kind: Literal["arima"]
    order: list[Order] = Field(min_length=3, max_length=3, description="p, d, q.")
    seasonal_order: list[SeasonalOrder] = Field(
        [0, 0, 0, 0], min_length=4, max_length=4, description="P, D, Q and the period."
    )
    ar: Lags = Field([], description="p coefficients of y[t-1], y[t-2], ...")
    ma: Lags = Field([], description="q coefficients of e[t-1], e[t-2], ...")
    seasonal_ar: Lags = Field([], description="P coefficients.")
    seasonal_ma: Lags = Field([], description="Q coefficients.")
    var: Variance
    intercept: float = Field(0.0, description="Of the differenced series.")
    obs_var: Variance = 0.0
    regression: Regression | None = Field(None, description="Of the level of the series, with ARIMA errors.")
    trend: list[int] | None = Field(
        None,
        min_length=1,
        max_length=LARGEST_POWER + 1,
        description="Powers of the time t = 0, 1, 2, ... since the first period that the level follows: [0, 1] is a "
        "constant and a slope.",
    )
    initial: Initial | None = Field(
        None,
        description="Default: exact diffuse for the differences, the coefficients and the trend, stationary for the "
        "ARMA part.",
    )


class StateSpace(_Kind):
    """Any linear Gaussian model. Each matrix may have a leading axis of periods; transition[t] leads to t + 1."""

    model_config = _shown(
        kind="state_space",
        transition=[[1.0, 1.0], [0.0, 1.0]],
        design=[[1.0, 0.0]],
        obs_cov=[[2.0]],
        selection=[[0.0], [1.0]],
        state_cov=[[0.1]],
    )

    kind: Literal["state_space"]
    transition: Annotated[Any, Numbers(0, 3)] = Field(description="[n][n]")
    design: Annotated[Any, Numbers(0, 3)] = Field(description="[m][n]; one row may stand alone.")
    obs_cov: Annotated[Any, Numbers(0, 3)] = Field(description="[m][m]")
    state_cov: Annotated[Any, Numbers(0, 3)] = Field(description="[r][r]")
    selection: Annotated[Any, Numbers(2, 3)] | None = Field(None, description="[n][r]; default: identity.")
    obs_intercept: Annotated[Any, Numbers(0, 2)] | None = Field(None, description="[m]; default: zero.")
    state_intercept: Annotated[Any, Numbers(0, 2)] | None = Field(None, description="[n]; default: zero.")


_AnyKind = LocalLevel | LocalLinearTrend | ConstantVelocity | ConstantAcceleration | Structural | Arima | StateSpace
MODELS = kinds_of(_AnyKind)
Model = Annotated[_AnyKind, Field(discriminator="kind"), ByKind(MODELS)]
