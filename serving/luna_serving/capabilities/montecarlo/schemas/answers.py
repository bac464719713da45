"""The answer of `POST /montecarlo`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from luna_serving.capabilities.montecarlo.schemas.request import LARGEST_SEED


class ConfidenceInterval(BaseModel):
    """Student's t interval."""

    level: float
    lower: float
    upper: float


class Bound(BaseModel):
    """An estimate with its error."""

    value: float
    std_error: float
    interval: ConfidenceInterval


class Origin(BaseModel):
    """The data set or symbols that returns are from."""

    model_config = ConfigDict(extra="allow")


class Convergence(BaseModel):
    """The estimate after some paths."""

    paths: int
    value: float
    std_error: float


class Reproducible(BaseModel):
    """Where the same request gives the same bits."""

    machine: str
    instructions: str = Field(description="The widest instruction set that NumPy uses.")
    numpy: str
    scipy: str


class MonteCarloPlan(BaseModel):
    """How it was computed."""

    model: str
    payoff: str
    sampling: Literal["pseudo", "sobol"]
    scrambles: int | None = Field(description="Independent scrambles of the net; null under `pseudo`.")
    antithetic: bool
    control_variates: list[str]
    steps: int = Field(description="Of a path, with the dates of the payoff.")
    block_paths: int = Field(description="Paths of a block.")
    blocks: int = Field(description="For all paths that were asked for.")
    seed: int = Field(ge=0, le=LARGEST_SEED, description="What to send for the same bits.")
    reproducible_on: Reproducible


class MonteCarloAnswer(BaseModel):
    """The estimate with its error."""

    value: float = Field(description="Discounted to time 0; of a portfolio the mean profit, as a fraction.")
    std_error: float
    interval: ConfidenceInterval
    paths: int = Field(description="That were computed: whole blocks.")
    stopped: Literal["paths", "std_error", "seconds", "cancelled"] = Field(description="What ended the run.")
    upper_bound: Bound | None = Field(None, description="The dual bound, where it was asked for.")
    var: dict[str, Bound] | None = Field(None, description="Value at risk by level: a loss, as a positive fraction.")
    es: dict[str, Bound] | None = Field(None, description="Expected shortfall by level.")
    convergence: list[Convergence] = Field(description="After 1, 2, 4, ... blocks.")
    origin: Origin | None = Field(None, description="Where the returns of `bootstrap` are from.")
    plan: MonteCarloPlan
