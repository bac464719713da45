"""The wire schemas, in words (`statespace.md`): pydantic checks form, `luna_serving.statespace` checks meaning."""

from typing import Annotated, Any, ClassVar, Literal, TypeGuard

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

from luna_serving.kalman.jobs import FILTERED, SMOOTHED, ModelSpec, Task
from luna_store.models import NAME

# A point that is missing is null; NaN and Infinity are not JSON.
Point = Annotated[float | None, Field(description="One observation; null where it is missing.")]
Variance = Annotated[float, Field(ge=0, description="A variance, in the square of the observations' unit.")]

# Without lengths a body of megabytes becomes as many errors, on the event loop of all callers. No model here has more.
MAX_STATES = 64

EXAMPLE = [1120.0, 1160.0, 963.0, None, 1160.0]


class Words(BaseModel):
    """Strict: an unknown field or a number in quotes is an error, never a guess."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Known(Words):
    """A start that the caller knows."""

    kind: Literal["known"]
    mean: list[float] = Field(max_length=MAX_STATES)
    cov: list[Annotated[list[float], Field(max_length=MAX_STATES)]] = Field(max_length=MAX_STATES)
    timing: Literal["predicted", "filtered"] = Field(
        "predicted",
        description="predicted: moments of the state before the first observation; filtered: one transition earlier.",
    )


class Diffuse(Words):
    """Nothing is known at the start: exact, not a large variance (Durbin & Koopman 2012, ch. 5)."""

    kind: Literal["diffuse"] = "diffuse"


class ApproximateDiffuse(Words):
    """A start with a large variance."""

    kind: Literal["approximate_diffuse"]
    variance: float = Field(1e6, gt=0)


Initial = Annotated[Known | Diffuse | ApproximateDiffuse, Field(discriminator="kind")]


class _Model(Words):
    initial: Initial = Diffuse()

    def spec(self) -> ModelSpec:
        """The model as plain, hashable values."""
        words = self.model_dump()
        kind, initial = words.pop("kind"), words.pop("initial")
        return ModelSpec(kind, _plain(words), _plain(initial))


class LocalLevel(_Model):
    """A level that walks at random, observed with noise."""

    kind: Literal["local_level"] = "local_level"
    obs_var: Variance = 1.0
    level_var: Variance = 0.1


class LocalLinearTrend(_Model):
    """A level with a slope; both walk at random."""

    kind: Literal["local_linear_trend"]
    obs_var: Variance
    level_var: Variance
    trend_var: Variance


class ConstantVelocity(_Model):
    """A position with a velocity that random accelerations change; the position is observed."""

    kind: Literal["constant_velocity"]
    dt: float = Field(gt=0, description="Time between observations.")
    obs_var: Variance
    accel_var: Variance


Model = Annotated[LocalLevel | LocalLinearTrend | ConstantVelocity, Field(discriminator="kind")]


class DescribedModel(Words):
    """A model alone."""

    model: Model


class NamedModel(Words):
    """A model that was stored by `PUT /api/v1/{account_id}/models/{name}`."""

    name: str = Field(pattern=f"^{NAME.pattern}$")
    version: int | None = Field(None, ge=1, lt=2**31, description="Default: the latest.")


def names_a_model(words: object) -> TypeGuard[dict[str, Any]]:
    """Whether the words name a stored model instead of describing one."""
    return isinstance(words, dict) and "kind" not in words and bool(words.keys() & NamedModel.model_fields.keys())


ModelOrName = Annotated[
    Annotated[Model, Tag("described")] | Annotated[NamedModel, Tag("named")],
    Discriminator(lambda words: "named" if names_a_model(words) else "described"),
]


class KalmanRequest(Words):
    """The original contract: one series."""

    results: list[Point] = Field(min_length=1, examples=[EXAMPLE])
    model: ModelOrName = Field(
        LocalLevel(),
        description="Default: local_level with obs_var 1.0, level_var 0.1 and an exact diffuse start.",
    )


class KalmanAnswer(BaseModel):
    """The original contract's answer."""

    processed_results: list[float | None] = Field(
        description="The filtered mean of what is observed (level, position) after each point; null before the first "
        "observation of a diffuse start."
    )
    input_data: list[float | None] = Field(description="What was sent.")


class SeriesRequest(Words):
    """Many series under one model."""

    TASK: ClassVar[Task]

    model: ModelOrName
    observations: list[list[Point]] = Field(min_length=1, examples=[[EXAMPLE, [1.0, 2.0]]])
    precision: Literal["float64"] = "float64"
    loglike_convention: Literal["full", "kfas"] = Field(
        "full", description="full keeps the constant of every observation, kfas drops it for diffuse ones."
    )


class FilterRequest(SeriesRequest):
    """Filter many series."""

    TASK = "filter"

    outputs: list[Literal[FILTERED]] = Field(  # type: ignore[valid-type]
        ["filtered_state", "filtered_state_cov", "loglike"],
        min_length=1,
        max_length=len(FILTERED),
        description="What to answer for each series.",
    )


class SmoothRequest(SeriesRequest):
    """Smooth many series: each state given all observations, the later ones too."""

    TASK = "smooth"

    outputs: list[Literal[(*SMOOTHED, *FILTERED)]] = Field(  # type: ignore[valid-type]
        ["smoothed_state", "smoothed_state_cov", "loglike"],
        min_length=1,
        max_length=len(SMOOTHED) + len(FILTERED),
        description="What to answer for each series.",
    )


class ForecastRequest(SeriesRequest):
    """Forecast many series from their last observation on."""

    TASK = "forecast"

    steps: int = Field(ge=1, le=100_000, description="How far to forecast, in steps of the series.")
    level: float = Field(0.95, gt=0, lt=1, description="The share of futures between lower and upper.")


class Plan(BaseModel):
    """What was really run."""

    algorithm: str
    precision: str
    device: str
    batch_shape: tuple[int, int] = Field(description="Series and points of the padded batch.")
    warnings: list[str]


class SeriesAnswer(BaseModel):
    """One object a series, in order."""

    plan: Plan
    results: list[dict[str, object]] = Field(
        description="The outputs asked for; null where a value is not identified yet (a diffuse start)."
    )


class Forecast(BaseModel):
    """The forecast of one series, a number a step; null while it is still diffuse."""

    mean: list[float | None]
    variance: list[float | None]
    lower: list[float | None]
    upper: list[float | None]


class ForecastAnswer(BaseModel):
    """One object a series, in order."""

    plan: Plan
    results: list[Forecast]


def _plain(words: dict[str, object]) -> tuple[tuple[str, object], ...]:
    return tuple((name, _tuple(value)) for name, value in words.items())


def _tuple(value: object) -> object:
    return tuple(_tuple(v) for v in value) if isinstance(value, list) else value
