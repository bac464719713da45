"""Problems that tests value, and their runs."""

import math

import numpy as np
from scipy.special import ndtr

from luna_serving.engines.finance.montecarlo.api.compute import compute, pilot
from luna_serving.engines.finance.montecarlo.api.description import (
    Diffusion,
    Heston,
    Jumps,
    Model,
    Payoff,
    Problem,
    Run,
    Sampling,
    Side,
    factor,
)

CALL, PUT = Side.CALL, Side.PUT
PSEUDO, SOBOL = Sampling.PSEUDO, Sampling.SOBOL


def gbm(spot: float = 100.0, rate: float = 0.05, dividend: float = 0.02, volatility: float = 0.2) -> Diffusion:
    return Diffusion((spot,), (volatility,), (dividend,), rate)


def two_assets(correlation: float = 0.5) -> Diffusion:
    matrix = np.array([[1.0, correlation], [correlation, 1.0]])
    return Diffusion((100.0, 95.0), (0.2, 0.3), (0.02, 0.01), 0.05, factor(matrix))


def lewis() -> Heston:
    """S = 100, r = .01, q = .02; a call at 100 is worth 16.070154917028834 (Lewis)."""
    return Heston(100.0, 0.01, 0.02, 0.04, 4.0, 0.25, 1.0, -0.5)


def merton() -> Jumps:
    """Merton's model in Haug's form: total volatility .25, of which the share .25 is jumps, 5 a year."""
    jump = 0.25 * math.sqrt(0.25 / 5.0)
    return Jumps(gbm(100.0, 0.08, 0.0, 0.25 * math.sqrt(0.75)), 5.0, -0.5 * jump**2, jump)


def run(problem: Problem, blocks: int = 4) -> Run:
    done = Run(problem, pilot(problem))
    for block in range(blocks):
        done.add(compute(problem, done.known, block))
    return done


def valued(
    model: Model,
    payoff: Payoff,
    expiry: float = 1.0,
    steps: int = 1,
    blocks: int = 4,
    seed: int = 7,
    sampling: Sampling | None = None,
    **more: bool,
) -> Run:
    return run(Problem(model, payoff, expiry, steps, seed, sampling, **more), blocks)


def black_scholes(side: Side, s: float, k: float, r: float, q: float, sigma: float, t: float) -> float:
    """Independent of the engine's."""
    d1 = (math.log(s / k) + (r - q + sigma**2 / 2) * t) / (sigma * math.sqrt(t))
    d2, sign = d1 - sigma * math.sqrt(t), 1 if side is CALL else -1
    value = sign * (s * math.exp(-q * t) * ndtr(sign * d1) - k * math.exp(-r * t) * ndtr(sign * d2))
    return float(value)


def merton_series(s: float, k: float, r: float, t: float, model: Jumps) -> float:
    """Merton (1976): a mixture of Black-Scholes values over the number of jumps."""
    drift = math.expm1(model.mean + 0.5 * model.deviation**2)
    sigma = model.diffusion.volatilities[0]  # type: ignore[union-attr]
    total, weight = 0.0, math.exp(-model.intensity * t)
    for n in range(80):
        variance = sigma**2 + n * model.deviation**2 / t
        rate = r - model.intensity * drift + n * (model.mean + 0.5 * model.deviation**2) / t
        total += weight * math.exp((rate - r) * t) * black_scholes(CALL, s, k, rate, 0.0, math.sqrt(variance), t)
        weight *= model.intensity * t / (n + 1)
    return total


def z_of(done: Run, exact: float) -> float:
    return (done.value.value - exact) / done.value.std_error
