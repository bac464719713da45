"""Parses a body into a portfolio problem."""

from typing import Any, Final

import numpy as np

from luna_serving.capabilities.markowitz.job import Estimator, PortfolioJob
from luna_serving.capabilities.markowitz.settings import MarkowitzSettings
from luna_serving.capabilities.markowitz.wire.arrays import covariance, matrix, vector
from luna_serving.capabilities.markowitz.wire.estimators import estimator_form, estimator_of
from luna_serving.capabilities.markowitz.wire.limits import limits_of, refuse_cardinality
from luna_serving.capabilities.markowitz.wire.schemas import MarkowitzRequest
from luna_serving.engines.finance.markowitz.api.problems import (
    Floats,
    Hierarchical,
    MaxSharpe,
    MinCvar,
    MinVariance,
    Objective,
    RiskParity,
    TargetReturn,
    TargetRisk,
)
from luna_serving.wire import problems
from luna_serving.wire.documents import SPARE_LISTS, read_object
from luna_serving.wire.forms import read_form
from luna_serving.wire.problems import FieldError

DATA: Final = ("returns", "prices", "dataset", "symbols", "cov")
WHICH: Final = "Send returns, prices, a dataset, symbols, or mean and cov."
# Objectives that need no expected returns.
WITHOUT_MEAN: Final = frozenset({"min_variance", "risk_parity", "hrp"})
# In this body no null is a missing number.
NO_SERIES: Final = "-"


def document_of(body: bytes, settings: MarkowitzSettings) -> dict[str, Any]:
    """The body as a JSON object.

    Raises:
        Problem: 422.
    """
    document = read_object(body, NO_SERIES, SPARE_LISTS + 2 * settings.max_assets)
    refuse_cardinality(document)
    return document


def problem_of(document: dict[str, Any], settings: MarkowitzSettings) -> PortfolioJob:
    """The problem of a body whose data are in it.

    Raises:
        Problem: 422.
    """
    request = read_form(MarkowitzRequest, document)
    sent = [name for name in DATA if getattr(request, name) is not None]
    if len(sent) > 1:
        raise problems.invalid(FieldError(f"/{sent[1]}", f"Stands beside /{sent[0]}. {WHICH}"))
    if not sent:
        at = "/cov" if request.mean is not None else ""
        raise problems.invalid(FieldError(at, f"Has no data. {WHICH}" if not at else "Field required beside /mean."))
    (member,) = sent
    form, path = estimator_form(request)
    returns: Floats | None = None
    mean: Floats | None = None
    cov: Floats | None = None
    if member == "cov":
        cov = covariance("/cov", request.cov, None if request.mean is None else len(request.mean))
        n = len(cov)
        mean = None if request.mean is None else vector("/mean", request.mean, n, "/cov")
    else:
        if request.mean is not None:
            raise problems.invalid(FieldError("/mean", f"Stands beside /{member}, from which means are estimated."))
        returns = _returns(member, getattr(request, member), settings)
        n = returns.shape[1]
    if n > settings.max_assets:
        raise problems.invalid(FieldError(f"/{member}", f"Has {n} assets; at most {settings.max_assets} are taken."))
    estimator = estimator_of(form, path, n, f"/{member}")
    _check_moments(request, estimator, member)
    limits = limits_of(request.constraints, n, f"/{member}")
    if request.assets is not None and len(request.assets) != n:
        detail = f"Must hold {n} names, one per asset of /{member}, not {len(request.assets)}."
        raise problems.invalid(FieldError("/assets", detail))
    return PortfolioJob(
        objective_name=request.objective,
        objective=_objective(request),
        level=request.level,
        limits=limits,
        bounds_given=request.constraints.bounds is not None,
        risk_free=request.risk_free,
        points=request.points,
        estimator=estimator,
        member=member,
        returns=returns,
        mean=mean,
        cov=cov,
        names=None if request.assets is None else tuple(request.assets),
    )


def _returns(member: str, value: Any, settings: MarkowitzSettings) -> Floats:  # noqa: ANN401  JSON
    found = matrix(f"/{member}", value)
    most = settings.max_periods
    if len(found) > most:
        raise problems.invalid(FieldError(f"/{member}", f"Has {len(found)} periods; at most {most} are taken."))
    if member == "returns":
        if len(found) < 2:
            raise problems.invalid(FieldError("/returns", "Must have at least two periods."))
        return found
    if len(found) < 3:
        raise problems.invalid(FieldError("/prices", "Must have at least three rows, of which two returns are made."))
    wrong = np.argwhere(found <= 0)
    if len(wrong):
        i, j = (int(each) for each in wrong[0])
        raise problems.invalid(FieldError(f"/prices/{i}/{j}", "Must be a positive price."))
    returns: Floats = found[1:] / found[:-1] - 1.0
    return returns


def _check_moments(request: MarkowitzRequest, estimator: Estimator, member: str) -> None:
    needs = request.objective not in WITHOUT_MEAN
    if member != "cov":
        return
    if request.objective == "min_cvar":
        raise problems.invalid(FieldError("/returns", "Field required: min_cvar takes scenarios, not moments."))
    if estimator.kind == "black_litterman":
        if request.mean is not None:
            detail = "Must be left out: black_litterman finds the means from market_weights and views."
            raise problems.invalid(FieldError("/mean", detail))
        return
    if estimator.kind != "sample":
        raise problems.invalid(FieldError("/estimator", f"{estimator.kind} needs returns or prices, not moments."))
    if needs and request.mean is None:
        raise problems.invalid(FieldError("/mean", f"Field required for {request.objective}."))


def _objective(request: MarkowitzRequest) -> Objective | None:
    target = _target(request)
    match request.objective:
        case "max_sharpe":
            return MaxSharpe(request.risk_free)
        case "min_variance":
            return MinVariance()
        case "target_return":
            return TargetReturn(target)
        case "target_risk":
            return TargetRisk(target)
        case "risk_parity":
            return RiskParity()
        case "hrp":
            return Hierarchical()
        case "min_cvar":
            if request.constraints.tracking_error is not None:
                detail = "Is not offered with min_cvar, which is a linear program. Leave it out, or limit turnover."
                raise problems.invalid(FieldError("/constraints/tracking_error", detail))
            return MinCvar(np.zeros((0, 0)), request.level)
        case "efficient_frontier":
            return None


def _target(request: MarkowitzRequest) -> float:
    """The target; 0 for objectives without one."""
    wanted = request.objective in {"target_return", "target_risk"}
    if wanted and request.target is None:
        raise problems.invalid(FieldError("/target", f"Field required for {request.objective}."))
    if not wanted and request.target is not None:
        raise problems.invalid(FieldError("/target", "Belongs to target_return and target_risk. Leave it out."))
    if request.objective == "target_risk" and request.target is not None and request.target < 0:
        raise problems.invalid(FieldError("/target", "Is a standard deviation, so it must not be negative."))
    return request.target or 0.0
