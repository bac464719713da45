"""The wire schemas of `/kalman/simulate`."""

from typing import Final, Literal

from pydantic import BaseModel, Field

from luna_serving.capabilities.kalman.wire.model import ModelForm
from luna_serving.capabilities.kalman.wire.schemas import Plan
from luna_serving.capabilities.kalman.wire.series import EXAMPLE, Series
from luna_serving.engines.statespace.api.description import MAX_STATES

# Beyond 2^53 a JSON reader that keeps numbers as float64 would send back another seed.
LARGEST_SEED: Final = 2**53 - 1
# A draw costs a stream of random numbers (20 us) and, given observations, a column in the smoother's matrices: 1 us per
# period with 27 states. `cost.py` estimates the time of a call; one that cannot end in time is refused.
MAX_DRAWS: Final = 10_000

Output = Literal["states", "observations"]


class Given(BaseModel):
    """The series that draws are given."""

    observations: list[Series] | None = Field(
        None,
        min_length=1,
        examples=[[EXAMPLE]],
        description="Series to draw the states, the missing observations and the future of. Either this or length.",
    )


class SimulateRequest(ModelForm):
    """Draw from a model: `length` periods of it, or its states and gaps given `observations`."""

    SERIES = Given

    length: int | None = Field(None, ge=1, description="Periods to draw. Either this or observations.")
    draws: int = Field(
        1,
        ge=1,
        le=MAX_DRAWS,
        description=f"Independent draws, of each series; at most {MAX_DRAWS} in all. Draws of one series share its "
        "covariances: 1,000 of 144 points under 27 states take about 0.2 s of one core.",
    )
    seed: int | None = Field(
        None,
        ge=0,
        le=LARGEST_SEED,
        description="The same seed and the same call give the same draws. By default a random one, which is answered.",
    )
    outputs: list[Output] = Field(["states", "observations"], min_length=1, max_length=2)
    steps: int = Field(
        0, ge=0, le=100_000, description="With observations: periods to draw beyond the end of each series."
    )
    initial_state: list[float | None] | None = Field(
        None,
        max_length=MAX_STATES,
        description="With length: the state of the first period in every draw; null draws it from the model's start, "
        "given the others. States with a diffuse start need a value.",
    )
    precision: Literal["float64"] = "float64"


class Simulated(BaseModel):
    """The draws of one series: as many as were asked for, each a list over time. Only the outputs asked for."""

    states: list[list[list[float]]] | None = Field(None, description="[draws][time][states]")
    observations: list[list[float | list[float]]] | None = Field(
        None, description="[draws][time], or [draws][time][observed] for several. What was observed is as it was sent."
    )


class SimulateAnswer(BaseModel):
    """One object per series, in order; one in all where none was sent."""

    seed: int = Field(description="What to send for the same draws.")
    plan: Plan
    results: list[Simulated]
