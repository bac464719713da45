"""The wire schemas of requests and answers: pydantic checks form, the engine meaning."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, WithJsonSchema

from luna_serving.capabilities.kalman.jobs.job import Job, Precision, Task
from luna_serving.capabilities.kalman.jobs.model_spec import ModelSpec
from luna_serving.capabilities.kalman.jobs.output_sizes import FILTERED, FORECASTS, SMOOTHED
from luna_serving.capabilities.kalman.jobs.saved_states import SavedState
from luna_serving.capabilities.kalman.wire.from_dataset import DatasetSeries
from luna_serving.capabilities.kalman.wire.kind_schemas import LocalLevel
from luna_serving.capabilities.kalman.wire.model import ModelForm, ModelOrName
from luna_serving.capabilities.kalman.wire.outputs import description
from luna_serving.capabilities.kalman.wire.series import EXAMPLE, Series
from luna_serving.engines.statespace.api.description import Algorithm, Saved

_DEFAULT = LocalLevel()
DEFAULT_MODEL = _DEFAULT.spec()


class Results(BaseModel):
    """The series of the original route."""

    results: Series = Field(
        description="One number per point, alone or in a list.",
        examples=[EXAMPLE],
        json_schema_extra={"minItems": 1},
    )


class Observations(BaseModel):
    """The series of the other routes."""

    observations: (
        Annotated[list[Series], Field(min_length=1)]
        | Annotated[dict[str, object], WithJsonSchema(DatasetSeries.model_json_schema())]
    ) = Field(examples=[[EXAMPLE, [1.0, 2.0]]], description="Series, or those of a data set of the account.")


class KalmanRequest(ModelForm):
    """The original contract: one series."""

    SERIES = Results

    model: ModelOrName = Field(
        default_factory=lambda: DEFAULT_MODEL,
        description="Default: local_level with obs_var 1.0, level_var 0.1 and an exact diffuse start.",
        json_schema_extra={"default": _DEFAULT.model_dump()},
    )


class KalmanAnswer(BaseModel):
    """The original contract's answer."""

    processed_results: list[float | None] = Field(
        description="The filtered mean of what is observed (level, position) after each point; null before the first "
        "observation of a diffuse start."
    )
    input_data: list[float | None] | list[list[float | None]] = Field(description="What was sent.")


class SeriesRequest(ModelForm):
    """Many series under one model."""

    SERIES = Observations
    TASK: ClassVar[Task]

    precision: Precision | None = Field(None, description="Default: float64 on a CPU, float32 on a GPU.")
    algorithm: Algorithm | None = Field(None, description="Default: the engine's choice, which the plan reports.")
    resume: list[SavedState | None] | None = Field(
        None,
        description="One `state` of an earlier answer per series, or null: to go on from there, as if in one pass.",
    )
    loglike_convention: Literal["full", "kfas"] = Field(
        "full", description="full keeps the constant of every observation, kfas drops it for diffuse ones."
    )

    @property
    def horizon(self) -> int:
        """How far the answer goes beyond the last observation, in steps of the series."""
        return 0

    def job(
        self, model: ModelSpec, series: Sequence[NDArray[np.float64]], starts: tuple[Saved | None, ...] | None
    ) -> Job:
        """The job for these series, [T] or [T, m] each; `starts` is what `resume` holds."""
        return Job(
            model=model,
            values=np.concatenate(series),
            lengths=tuple(map(len, series)),
            task=self.TASK,
            outputs=self.each_output(),
            loglike=self.loglike_convention,
            precision=self.precision,
            algorithm=self.algorithm,
            starts=starts,
        )

    @abstractmethod
    def each_output(self) -> tuple[str, ...]:
        """What to answer for each series, nothing twice."""


class FilterRequest(SeriesRequest):
    """Filter many series."""

    TASK = "filter"

    outputs: list[Literal[FILTERED]] = Field(  # type: ignore[valid-type]
        ["filtered_state", "filtered_state_cov", "loglike"],
        min_length=1,
        max_length=len(FILTERED),
        description=description(FILTERED),
    )

    def each_output(self) -> tuple[str, ...]:
        """What to answer for each series, nothing twice."""
        return tuple(dict.fromkeys(self.outputs))


class SmoothRequest(SeriesRequest):
    """Smooth many series: each state given all observations, the later ones too."""

    TASK = "smooth"

    outputs: list[Literal[(*SMOOTHED, *FILTERED)]] = Field(  # type: ignore[valid-type]
        ["smoothed_state", "smoothed_state_cov", "loglike"],
        min_length=1,
        max_length=len(SMOOTHED) + len(FILTERED),
        description=description((*SMOOTHED, *FILTERED)),
    )

    def each_output(self) -> tuple[str, ...]:
        """What to answer for each series, nothing twice."""
        return tuple(dict.fromkeys(self.outputs))


class ForecastRequest(SeriesRequest):
    """Forecast many series from their last observation on."""

    TASK = "forecast"

    steps: int = Field(ge=1, le=100_000, description="How far to forecast, in steps of the series.")
    level: float = Field(0.95, gt=0, lt=1, description="The share of futures between lower and upper.")

    @property
    def horizon(self) -> int:
        """How far to forecast."""
        return self.steps

    def job(
        self, model: ModelSpec, series: Sequence[NDArray[np.float64]], starts: tuple[Saved | None, ...] | None
    ) -> Job:
        """The job for these series, its steps and level among it."""
        return replace(super().job(model, series, starts), steps=self.steps, level=self.level)

    def each_output(self) -> tuple[str, ...]:
        """All that a forecast is."""
        return FORECASTS


class Plan(BaseModel):
    """What was really run."""

    algorithm: str = Field(
        description="multiprecision: float64 has too few digits for the model and the series. docs/models.md has all."
    )
    precision: str
    device: str
    batch_shape: tuple[int, int] = Field(description="Series and points of the padded batch.")
    warnings: list[str] = Field(description="Observations that contradict a model without noise, say.")


StateNames = Annotated[list[str], Field(description="One per state, in the order of the numbers of a state.")]


class SeriesAnswer(BaseModel):
    """One object per series, in order."""

    plan: Plan
    state_names: StateNames
    results: list[dict[str, object]] = Field(
        description="The outputs asked for, time first; null where it is missing or has no finite value. "
        "While a start is diffuse, filtered moments are the finite parts; nobs_diffuse counts these periods. "
        "Where the model observes one thing, what is said of observations has no axis for it."
    )


class Forecast(BaseModel):
    """The forecast of one series, one number per step, or m; null while it is still diffuse."""

    mean: list[float | None] | list[list[float | None]]
    variance: list[float | None] | list[list[float | None]]
    lower: list[float | None] | list[list[float | None]]
    upper: list[float | None] | list[list[float | None]]


class ForecastAnswer(BaseModel):
    """One object per series, in order."""

    plan: Plan
    state_names: StateNames
    results: list[Forecast]
