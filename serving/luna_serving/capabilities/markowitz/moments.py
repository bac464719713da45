"""The moments of a portfolio problem: given, or estimated from returns."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from luna_serving.capabilities.markowitz.job import PortfolioJob
from luna_serving.engines.finance.markowitz.api.problems import (
    Floats,
    Moments,
    Posterior,
    Undetermined,
    black_litterman,
    exponentially_weighted,
    ledoit_wolf,
    oas,
    sample,
)


@dataclass(frozen=True, slots=True)
class Estimated:
    """Moments, and what else the estimator says."""

    mean: Floats
    cov: Floats
    shrinkage: float | None = None
    posterior: Posterior | None = None


def moments_of(job: PortfolioJob, stop: Callable[[], bool]) -> Estimated:
    """The moments that a portfolio is computed from. `kalman` loads JAX.

    Raises:
        Undetermined: there are too few periods.
    """
    estimator = job.estimator
    if estimator.kind == "kalman" and job.returns is not None:
        from luna_serving.engines.finance.markowitz.api.filtering import filtered

        return _plain(filtered(job.returns, stop))
    base = without_filter(job)
    market = estimator.market
    if market is None:
        return base
    found = black_litterman(
        base.cov,
        market.weights,
        market.views,
        risk_aversion=market.risk_aversion,
        tau=market.tau,
        risk_free=job.risk_free,
    )
    return Estimated(found.mean, found.cov, base.shrinkage, found)


def without_filter(job: PortfolioJob) -> Estimated:
    """The moments before views and filters."""
    if job.returns is None:
        assert job.cov is not None  # noqa: S101  the wire requires one of them
        return Estimated(np.zeros(job.assets) if job.mean is None else job.mean, job.cov)
    least = 3 if job.estimator.kind == "kalman" else 2
    if len(job.returns) < least:
        raise Undetermined("returns", f"Must have at least {least} periods, so that variances can be estimated.")
    kind = job.estimator.covariance if job.estimator.kind == "black_litterman" else job.estimator.kind
    match kind:
        case "ledoit_wolf":
            return _plain(ledoit_wolf(job.returns))
        case "oas":
            return _plain(oas(job.returns))
        case "ewm":
            return _plain(exponentially_weighted(job.returns, job.estimator.decay))
        case _:
            return _plain(sample(job.returns))


def _plain(moments: Moments) -> Estimated:
    return Estimated(moments.mean, moments.cov, moments.shrinkage)
