"""The wire schemas of `/kalman/fit`."""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, Field

from luna_serving.capabilities.kalman.wire.model import ModelForm, ModelOrName
from luna_serving.capabilities.kalman.wire.schemas import Observations, Plan

# Each is a search of its own; past these nothing new is found.
MAX_STARTS: Final = 20
MAX_ITERATIONS: Final = 10_000
# A model has fewer fields that can be estimated.
MAX_FREE: Final = 64

ParameterName = Annotated[str, Field(max_length=64)]


class FitRequest(ModelForm):
    """Estimate a model's parameters from each of many series."""

    SERIES = Observations

    model: ModelOrName = Field(description="Its values are the first start; what is not free stays as it is.")
    free: list[ParameterName] | None = Field(
        None,
        min_length=1,
        max_length=MAX_FREE,
        examples=[["obs_var", "level_var"]],
        description='Fields of the model to estimate, with dots: "obs_var", "level.var", "ar". Default: all that the '
        "model has, but for variances and intercepts that are zero, and of a state_space model its covariances alone.",
    )
    method: Literal["mle", "em"] = Field(
        "mle", description="mle: maximum likelihood by BFGS with exact gradients. em: for variances and covariances."
    )
    starts: int = Field(
        3,
        ge=1,
        le=MAX_STARTS,
        description="Searches per series: from the model's values, from the best of a guess and many places. em: one.",
    )
    max_iterations: int | None = Field(
        None, ge=1, le=MAX_ITERATIONS, description="Of one search. Default: 500 for mle, 5000 for em."
    )
    loglike_convention: Literal["full", "kfas"] = Field(
        "full", description="full keeps the constant of every observation, kfas drops it for diffuse ones."
    )


class SeriesFitAnswer(BaseModel):
    """The fit of one series."""

    estimates: dict[str, float | None] = Field(
        description='By name; the elements of a list or a matrix are "ar.0", "state_cov.1.0". null: none was reached.'
    )
    standard_errors: dict[str, float | None] = Field(
        description="null at a bound (a variance of zero), where the series does not tell, and where time was out."
    )
    cov_type: Literal["observed_information"] | None = Field(
        description="What the standard errors come from; null where there are none."
    )
    at_bound: list[str] = Field(description="Estimates on the edge of what they may be.")
    loglike: float | None
    aic: float | None = Field(description="2 k - 2 loglike; k counts the free parameters and the diffuse states.")
    bic: float | None = Field(description="ln(T) k - 2 loglike; T counts the periods, missing ones included.")
    iterations: int = Field(description="Of the search that found the estimates.")
    evaluations: int = Field(description="Of the likelihood, over all searches and the places looked at before them.")
    converged: bool = Field(description="Whether the estimates are a maximum, as far as gradient and Hessian tell.")
    why_stopped: str
    starts: int = Field(description="Searches that were made.")
    agreed: int = Field(description="Searches that ended at this log-likelihood, to 1e-4.")
    model: dict[str, Any] | None = Field(description="The model with the estimates in it, ready to be sent back.")


class FitAnswer(BaseModel):
    """One object per series, in order."""

    plan: Plan
    results: list[SeriesFitAnswer]
