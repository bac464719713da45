"""The body of `POST /montecarlo`."""

from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field

from luna_serving.capabilities.montecarlo.schemas.models import ModelMember
from luna_serving.capabilities.montecarlo.schemas.numbers import Positive
from luna_serving.capabilities.montecarlo.schemas.payoffs import PayoffMember
from luna_serving.wire.strict import StrictModel

MOST_PATHS: Final = 10**8
MOST_PATH_STEPS: Final = 10**10
MOST_STEPS: Final = 10_000
# Beyond 2^53 a JSON reader that keeps numbers as float64 would send back another seed.
LARGEST_SEED: Final = 2**53 - 1

EXAMPLE: Final[dict[str, Any]] = {
    "model": {"kind": "gbm", "spot": 100, "rate": 0.05, "dividend_yield": 0.02, "volatility": 0.2},
    "payoff": {"kind": "european", "type": "call", "strike": 100},
    "expiry": 1.0,
    "paths": 131072,
    "seed": 7,
}


class Stop(StrictModel):
    """When to end before all paths are computed."""

    std_error: Positive | None = Field(None, description="As soon as the standard error is at most this.")
    seconds: Positive | None = Field(None, description="After so many seconds of computing, at the next whole block.")


class MonteCarloRequest(StrictModel):
    """A value by simulation."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    model: ModelMember
    payoff: PayoffMember
    expiry: Positive | None = Field(
        None,
        description="Years; periods for `bootstrap` and `state_space`. Required but for `portfolio`, whose horizon it "
        "is.",
    )
    steps: Annotated[int, Field(ge=1, le=MOST_STEPS)] | None = Field(
        None,
        description="Equal steps to expiry, to which dates of the payoff are added. Default: as few as are exact, "
        "else 100 per year for `heston` and `bates`, 50 per year for `american`; one per period for `bootstrap` and "
        "`state_space`.",
    )
    paths: int = Field(
        100_000,
        ge=1,
        le=MOST_PATHS,
        description=f"Rounded up to whole blocks; at most {MOST_PATHS:,}, and {MOST_PATH_STEPS:,} times steps.",
    )
    seed: int | None = Field(None, ge=0, le=LARGEST_SEED, description="Default: a random one, which `plan` has.")
    sampling: Literal["pseudo", "sobol"] | None = Field(
        None, description="Default: `sobol` where the payoff allows it and a path draws at most 256 numbers."
    )
    antithetic: bool = Field(True, description="Mirror each path, under `pseudo`, where that is sound.")
    control_variates: bool = Field(True, description="Use expectations that are known.")
    stop: Stop | None = None
