"""z-scores of many seeds follow the law that their errors promise: a chi-squared test for every known value.

Seeds are fixed, so the outcome is: what fails has changed. The whole test has 200 seeds and is slow.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.stats import chi2
from scipy.stats import t as student
from tests.engines.finance.montecarlo import quantlib_values as ql
from tests.engines.finance.montecarlo.valued import (
    CALL,
    PSEUDO,
    PUT,
    SOBOL,
    black_scholes,
    gbm,
    lewis,
    merton,
    merton_series,
    two_assets,
    valued,
)

from luna_serving.engines.finance.montecarlo.api.description import (
    Asian,
    Barrier,
    Basket,
    Bootstrap,
    Digital,
    European,
    Extreme,
    Jumps,
    Lookback,
    Model,
    Payoff,
    Portfolio,
    Sampling,
    Spread,
    StateSpace,
)
from luna_serving.engines.statespace.api.description import KINDS, Known

BINS = 10
LEAST_P = 1e-3


@dataclass(frozen=True)
class Case:
    """A problem with a known value."""

    model: Model
    payoff: Payoff
    exact: Callable[[], float]
    expiry: float = 1.0
    steps: int = 1


DOWN_OUT = Barrier(CALL, 90.0, 95.0, up=False, out=True, rebate=3.0)
UP_IN = Barrier(PUT, 100.0, 110.0, up=True, out=False, rebate=2.0)
FLOATING, FIXED = Lookback(CALL, None), Lookback(PUT, 100.0)

RETURNS = np.array([[0.02], [-0.01], [0.005], [-0.03], [0.04], [0.0]])


def _margrabe() -> float:
    """An exchange of the two assets (Margrabe 1978)."""
    sigma = math.sqrt(0.2**2 + 0.3**2 - 2 * 0.5 * 0.2 * 0.3)
    return black_scholes(CALL, 100.0 * math.exp(-0.02), 95.0 * math.exp(-0.01), 0.0, 0.0, sigma, 1.0)


def _local_level() -> StateSpace:
    matrices = KINDS["local_level"](obs_var=1e-4, level_var=4e-4, initial=Known([0.01], [[0.0]]))
    return StateSpace(matrices, np.array([0.01]), (1.0,), returns=True)


def _bates() -> Jumps:
    return Jumps(lewis(), 1.0, -0.1, 0.15)


CASES: dict[str, Case] = {
    "gbm european": Case(gbm(), European(PUT, 105.0), lambda: black_scholes(PUT, 100, 105, 0.05, 0.02, 0.2, 1.0)),
    "gbm european, steps": Case(
        gbm(), European(CALL, 90.0), lambda: black_scholes(CALL, 100, 90, 0.05, 0.02, 0.2, 1.0), steps=5
    ),
    "gbm digital": Case(gbm(), Digital(CALL, 100.0, 10.0), lambda: _digital(10.0)),
    "gbm geometric asian": Case(
        gbm(100.0, 0.06, 0.03),
        Asian(CALL, 100.0, arithmetic=False, fixings=tuple((np.arange(1, 11) / 10).tolist())),
        lambda: 5.342560663499,
    ),
    "gbm barrier out": Case(
        gbm(100.0, 0.08, 0.04, 0.25), DOWN_OUT, lambda: ql.barrier(DOWN_OUT, 100, 0.08, 0.04, 0.25, 365), steps=3
    ),
    "gbm barrier in": Case(gbm(), UP_IN, lambda: ql.barrier(UP_IN, 100, 0.05, 0.02, 0.2, 365)),
    "gbm lookback floating": Case(gbm(), FLOATING, lambda: ql.lookback(FLOATING, 100, 0.05, 0.02, 0.2, 365), steps=2),
    "gbm lookback fixed": Case(gbm(), FIXED, lambda: ql.lookback(FIXED, 100, 0.05, 0.02, 0.2, 365)),
    "basket of one weight": Case(
        two_assets(), Basket(CALL, 190.0, (0.0, 2.0)), lambda: 2 * black_scholes(CALL, 95, 95, 0.05, 0.01, 0.3, 1.0)
    ),
    "basket spread": Case(two_assets(), Spread(CALL, 0.0), _margrabe),
    "basket best of": Case(
        two_assets(), Extreme(CALL, 100.0, best=True), lambda: ql.extreme(CALL, 100.0, 365, best=True)
    ),
    "basket worst of": Case(
        two_assets(), Extreme(PUT, 95.0, best=False), lambda: ql.extreme(PUT, 95.0, 365, best=False)
    ),
    "merton european": Case(
        merton(), European(CALL, 100.0), lambda: merton_series(100.0, 100.0, 0.08, 0.25, merton()), expiry=0.25
    ),
    "heston european": Case(lewis(), European(PUT, 100.0), lambda: ql.heston(lewis(), PUT, 100.0, 365), steps=48),
    "bates european": Case(_bates(), European(CALL, 100.0), lambda: ql.bates(_bates(), CALL, 100.0, 365), steps=48),
    "bootstrap mean": Case(
        Bootstrap.of(RETURNS, 1, (1.0,)),
        Portfolio((1.0,), (0.95,)),
        lambda: (1 + RETURNS.mean()) ** 12 - 1,
        expiry=12.0,
    ),
    "state space mean": Case(
        _local_level(), Portfolio((1.0,), (0.95,)), lambda: math.expm1(0.04 + 0.5 * _sum_variance(4)), expiry=4.0
    ),
}


def _digital(cash: float) -> float:
    from scipy.special import ndtr

    d2 = (0.05 - 0.02 - 0.02) / 0.2
    return cash * math.exp(-0.05) * float(ndtr(d2))


def _sum_variance(n: int) -> float:
    """Of the sum of n observations of the local level model, whose level starts at a known value."""
    return n * 1e-4 + 4e-4 * sum(k * k for k in range(1, n))


def scores(case: Case, sampling: Sampling, seeds: int) -> np.ndarray:
    """Of each seed, where its error falls in its own law: uniform, if the law is right."""
    exact = case.exact()
    found = []
    for seed in range(seeds):
        estimate = valued(case.model, case.payoff, case.expiry, case.steps, 1, seed, sampling).value
        found.append(student.cdf((estimate.value - exact) / estimate.std_error, estimate.freedom))
    return np.array(found)


def p_value(uniform: np.ndarray, bins: int = BINS) -> float:
    counts = np.bincount(np.minimum((uniform * bins).astype(int), bins - 1), minlength=bins)
    expected = len(uniform) / bins
    return float(chi2.sf(((counts - expected) ** 2 / expected).sum(), bins - 1))


def samplings() -> list[tuple[str, Sampling]]:
    nets = [(name, SOBOL) for name, case in CASES.items() if not case.model.periodic]
    return [*((name, PSEUDO) for name in CASES), *nets]


# Nets of many dimensions take their time to set up.
QUICK = [(name, sampling) for name, sampling in samplings() if sampling is PSEUDO or CASES[name].steps < 10]


@pytest.mark.parametrize(("name", "sampling"), QUICK, ids=lambda x: x if isinstance(x, str) else x.value)
def test_z_scores_of_forty_seeds(name: str, sampling: Sampling) -> None:
    assert p_value(scores(CASES[name], sampling, 40), 5) > LEAST_P


# Of a net, the errors of a digital option are of few values, and those of this option are skewed: their interval is
# checked by what it covers.
COVERED = {("gbm digital", SOBOL), ("gbm european, steps", SOBOL)}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "sampling"), samplings(), ids=lambda x: x if isinstance(x, str) else x.value)
def test_z_scores_of_two_hundred_seeds(name: str, sampling: Sampling) -> None:
    found = scores(CASES[name], sampling, 200)
    if (name, sampling) in COVERED:
        assert np.mean(np.abs(found - 0.5) < 0.475) > 0.88
    else:
        assert p_value(found) > LEAST_P
