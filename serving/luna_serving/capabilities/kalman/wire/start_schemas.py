"""The wire schemas of how a model's state starts."""

from typing import Annotated, Literal

from pydantic import Field

from luna_serving.engines.statespace.api.description import MAX_STATES
from luna_serving.wire.strict import ByKind, StrictModel, kinds_of


class KnownStart(StrictModel):
    """A start that the caller knows."""

    kind: Literal["known"]
    # Without lengths a body of megabytes becomes as many errors, on the event loop of all callers.
    mean: list[float] = Field(max_length=MAX_STATES)
    cov: list[Annotated[list[float], Field(max_length=MAX_STATES)]] = Field(max_length=MAX_STATES)
    timing: Literal["predicted", "filtered"] = Field(
        "predicted",
        description="predicted: moments of the state before the first observation; filtered: one transition earlier.",
    )


class Diffuse(StrictModel):
    """Nothing is known at the start: exact, not a large variance (Durbin & Koopman 2012, ch. 5)."""

    kind: Literal["diffuse"] = "diffuse"


class ApproximateDiffuse(StrictModel):
    """A start with a large variance."""

    kind: Literal["approximate_diffuse"]
    variance: float = Field(1e6, gt=0)


class Stationary(StrictModel):
    """The unconditional moments of a model that has them: all eigenvalues of its transition below 1 in size."""

    kind: Literal["stationary"]


# Which states of the model a block starts; the engine refuses numbers that are no state.
States = Annotated[
    list[Annotated[int, Field(ge=0)]],
    Field(min_length=1, max_length=MAX_STATES, description="Indices of states, from 0, in any order."),
]


class KnownStates(KnownStart):
    """Some states that the caller knows."""

    states: States


class DiffuseStates(Diffuse):
    """Some states of which nothing is known."""

    kind: Literal["diffuse"]
    states: States


class ApproximateDiffuseStates(ApproximateDiffuse):
    """Some states with a large variance."""

    states: States


class StationaryStates(Stationary):
    """Some states that depend on no others and have unconditional moments."""

    states: States


_AnyBlock = KnownStates | DiffuseStates | ApproximateDiffuseStates | StationaryStates
Block = Annotated[_AnyBlock, Field(discriminator="kind"), ByKind(kinds_of(_AnyBlock))]


class BlocksStart(StrictModel):
    """Different starts for different states, independent of each other; every state is in one block."""

    kind: Literal["blocks"]
    blocks: list[Block] = Field(min_length=1, max_length=MAX_STATES)


_AnyStart = KnownStart | Diffuse | ApproximateDiffuse | Stationary | BlocksStart
STARTS = kinds_of(_AnyStart)
Initial = Annotated[_AnyStart, Field(discriminator="kind"), ByKind(STARTS)]
