"""The wire schemas of requests and answers, in words (`statespace.md`): pydantic checks form, the engine meaning."""

from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, Field, Tag

from luna_serving.capabilities.kalman.jobs.job import FILTERED, SMOOTHED, Precision, Task
from luna_serving.capabilities.kalman.jobs.saved_states import SavedState
from luna_serving.capabilities.kalman.wire.kind_schemas import LocalLevel, Model
from luna_serving.capabilities.kalman.wire.named_model import BY_WAY, NamedModel
from luna_serving.capabilities.kalman.wire.outputs import description
from luna_serving.engines.statespace.api.description import Algorithm
from luna_serving.wire.strict import EXAMPLE, Point, Series, Words

ModelOrName = Annotated[Annotated[Model, Tag("described")] | Annotated[NamedModel, Tag("named")], BY_WAY]


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
    observations: list[Series] = Field(min_length=1, examples=[[EXAMPLE, [1.0, 2.0]]])
    precision: Precision | None = Field(None, description="Default: float64 on a CPU, float32 on a GPU.")
    algorithm: Algorithm | None = Field(None, description="Default: the engine's choice, which the plan reports.")
    resume: list[SavedState | None] | None = Field(
        None,
        description="One `state` of an earlier answer a series, or null: to go on from there, as if in one pass.",
    )
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
        description=description(FILTERED),
    )


class SmoothRequest(SeriesRequest):
    """Smooth many series: each state given all observations, the later ones too."""

    TASK = "smooth"

    outputs: list[Literal[(*SMOOTHED, *FILTERED)]] = Field(  # type: ignore[valid-type]
        ["smoothed_state", "smoothed_state_cov", "loglike"],
        min_length=1,
        max_length=len(SMOOTHED) + len(FILTERED),
        description=description((*SMOOTHED, *FILTERED)),
    )


class ForecastRequest(SeriesRequest):
    """Forecast many series from their last observation on."""

    TASK = "forecast"

    steps: int = Field(ge=1, le=100_000, description="How far to forecast, in steps of the series.")
    level: float = Field(0.95, gt=0, lt=1, description="The share of futures between lower and upper.")


class Plan(BaseModel):
    """What was really run."""

    algorithm: str = Field(
        description="multiprecision: float64 has too few digits for the model and the series. docs/models.md has all."
    )
    precision: str
    device: str
    batch_shape: tuple[int, int] = Field(description="Series and points of the padded batch.")
    warnings: list[str] = Field(description="Observations that contradict a model without noise, say.")


StateNames = Annotated[list[str], Field(description="One a state, in the order of the numbers of a state.")]


class SeriesAnswer(BaseModel):
    """One object a series, in order."""

    plan: Plan
    state_names: StateNames
    results: list[dict[str, object]] = Field(
        description="The outputs asked for, time first; null where it is missing or has no finite value. "
        "While a start is diffuse, filtered moments are the finite parts; nobs_diffuse counts these periods. "
        "Where the model observes one thing, what is said of observations has no axis for it."
    )


class Forecast(BaseModel):
    """The forecast of one series, a number a step, or m numbers; null while it is still diffuse."""

    mean: list[float | None] | list[list[float | None]]
    variance: list[float | None] | list[list[float | None]]
    lower: list[float | None] | list[list[float | None]]
    upper: list[float | None] | list[list[float | None]]


class ForecastAnswer(BaseModel):
    """One object a series, in order."""

    plan: Plan
    state_names: StateNames
    results: list[Forecast]
