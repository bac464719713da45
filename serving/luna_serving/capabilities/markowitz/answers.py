"""The answers of `/markowitz`, as JSON."""

from typing import Any, Final

import numpy as np
import orjson

from luna_serving.capabilities.markowitz.job import PortfolioJob
from luna_serving.capabilities.markowitz.moments import Estimated
from luna_serving.capabilities.markowitz.refusing import pointer_of
from luna_serving.engines.finance.markowitz.api.answers import Frontier, Solution, cvar_of, value_at_risk
from luna_serving.engines.finance.markowitz.api.problems import Assets, Floats

# A risk below this share of the largest deviation of an asset is none, and has no ratio of Sharpe.
NO_RISK: Final = 1e-12


def portfolio_answer(job: PortfolioJob, estimated: Estimated, assets: Assets, solution: Solution) -> bytes:
    """The answer with one portfolio."""
    weights = solution.weights
    answer: dict[str, Any] = {
        "weights": weights,
        **_measures(job, assets, weights),
        "kkt_residual": solution.residual,
        "binding": [{"constraint": pointer_of(place), "price": price} for place, price in solution.prices.items()],
    }
    if job.objective_name == "min_cvar" and job.returns is not None:
        losses = -(job.returns @ weights)
        answer |= {"cvar": cvar_of(losses, job.level), "var": value_at_risk(losses, job.level), "level": job.level}
    risk = assets.risk(weights)
    answer["risk_contributions"] = weights * (assets.cov @ weights) / risk if risk > 0 else np.zeros(len(weights))
    return _dumped(job, estimated, assets, answer)


def frontier_answer(job: PortfolioJob, estimated: Estimated, assets: Assets, frontier: Frontier) -> bytes:
    """The answer with the frontier."""
    answer = {
        "corners": [{**_measures(job, assets, w), "weights": w} for w in frontier.corners],
        "points": [{**_measures(job, assets, w), "weights": w} for w in frontier.points],
        "kkt_residual": frontier.residual,
    }
    return _dumped(job, estimated, assets, answer)


def _measures(job: PortfolioJob, assets: Assets, weights: Floats) -> dict[str, float | None]:
    risk = assets.risk(weights)
    if not job.knows_means:
        return {"expected_return": None, "risk": risk, "sharpe": None}
    expected = assets.expected(weights)
    least = NO_RISK * float(np.sqrt(max(0.0, float(assets.cov.diagonal().max()))))
    sharpe = (expected - job.risk_free) / risk if risk > least else None
    return {"expected_return": expected, "risk": risk, "sharpe": sharpe}


def _dumped(job: PortfolioJob, estimated: Estimated, assets: Assets, answer: dict[str, Any]) -> bytes:
    names = job.names or tuple(str(i) for i in range(job.assets))
    risks = np.sqrt(np.maximum(assets.cov.diagonal(), 0.0))
    answer["assets"] = [
        {"name": name, "expected_return": float(mean) if job.knows_means else None, "risk": float(risk)}
        for name, mean, risk in zip(names, assets.mean, risks, strict=True)
    ]
    if estimated.shrinkage is not None:
        answer["shrinkage"] = estimated.shrinkage
    if estimated.posterior is not None:
        posterior = estimated.posterior
        answer["posterior"] = {"mean": posterior.mean, "prior": posterior.prior, "weights": posterior.weights}
    answer["plan"] = job.plan
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
