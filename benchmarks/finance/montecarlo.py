"""Monte Carlo beside QuantLib, in one run: path-steps per second, and the time to a standard error of 1 bp.

Both value the same options with mirrored paths. QuantLib has one thread; Luna is measured on one and on all cores. A
basis point is one of the spot: 0.01 for 100.
"""

import os
import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

import QuantLib as ql  # noqa: N813  as its documentation

from luna_serving.engines.finance.montecarlo.api.compute import compute, pilot
from luna_serving.engines.finance.montecarlo.api.description import (
    Asian,
    Diffusion,
    European,
    Exercise,
    Heston,
    Model,
    Payoff,
    Problem,
    Run,
    Sampling,
    Side,
)

from .figures import Figure

NAME: Final = "Monte Carlo"
SPOT, STRIKE, RATE, DIVIDEND, VOLATILITY = 100.0, 100.0, 0.05, 0.02, 0.2
BASIS_POINT = 1e-4 * SPOT
HESTON = (0.04, 2.0, 0.04, 0.5, -0.7)
ROUNDS = 5
CORES = os.cpu_count() or 1
TODAY = ql.Date(2, 1, 2024)
DAYS = ql.Actual365Fixed()


@dataclass(frozen=True)
class Case:
    """An option in both libraries."""

    model: Model
    payoff: Payoff
    steps: int
    engine: Callable[[int | None, float | None], tuple[ql.Option, ql.PricingEngine]]
    """Of a number of samples, or of a tolerance."""
    samples: int
    """That QuantLib's rate is measured with."""


def measure(quick: bool) -> list[Figure]:
    """All figures; of the first option alone, in one round, or of all in five."""
    ql.Settings.instance().evaluationDate = TODAY
    chosen = list(cases().items())[: 1 if quick else None]
    return [figure for name, case in chosen for figure in measured(name, case, 1 if quick else ROUNDS)]


def cases() -> dict[str, Case]:
    """The options."""
    gbm = Diffusion((SPOT,), (VOLATILITY,), (DIVIDEND,), RATE)
    fixings = tuple(i / 252 for i in range(1, 252))
    dates = tuple(i / 50 for i in range(1, 50))
    call = Side.CALL
    return {
        "European, 1 step": Case(gbm, European(call, STRIKE), 1, european, 1_000_000),
        "Asian, 252 fixings": Case(gbm, Asian(call, STRIKE, True, (*fixings, 1.0)), 1, asian, 10_000),
        "European, Heston, 100 steps": Case(
            Heston(SPOT, RATE, DIVIDEND, *HESTON), European(call, STRIKE), 100, heston, 10_000
        ),
        "American put, 50 dates": Case(gbm, Exercise(Side.PUT, STRIKE, (*dates, 1.0), False), 1, american, 10_000),
    }


def measured(name: str, case: Case, times: int) -> list[Figure]:
    """Measure an option: the medians of some rounds."""
    paths = Problem(case.model, case.payoff, 1.0, case.steps, 7, Sampling.PSEUDO)
    steps, known = len(paths.times), pilot(paths)
    blocks = max(8, min(64, int(1e8 / paths.drawing.paths / steps)))

    def rate(threads: int) -> float:
        with ThreadPoolExecutor(threads) as pool:
            begun = time.perf_counter()
            list(pool.map(lambda block: compute(paths, known, block), range(blocks)))
            return blocks * paths.drawing.paths * steps / (time.perf_counter() - begun) / 1e6

    def quantlib() -> float:
        # Mirrored: a sample of QuantLib is two paths.
        return 2 * case.samples * steps / priced(case, case.samples, None) / 1e6

    rounds = [(rate(1), rate(CORES), quantlib()) for _ in range(times)]
    one, all_cores, peer = (statistics.median(column) for column in zip(*rounds, strict=True))
    best = Problem(case.model, case.payoff, 1.0, case.steps, 7)
    ours = statistics.median(to_a_basis_point(best) for _ in range(times))
    unit, peer_name = "M path-steps/s", "QuantLib"
    return [
        Figure(f"{name}, on a core", one, unit, peer, peer_name),
        Figure(f"{name}, on {CORES} cores", all_cores, unit, peer, peer_name),
        Figure(f"{name}, to 1 bp", ours, "s", priced(case, None, BASIS_POINT), peer_name, "less is better"),
    ]


def to_a_basis_point(problem: Problem) -> float:
    """Seconds until the standard error is a basis point."""
    begun = time.perf_counter()
    run = Run(problem, pilot(problem))
    while not run.precise(BASIS_POINT):
        run.add(compute(problem, run.known, run.blocks))
    return time.perf_counter() - begun


def priced(case: Case, samples: int | None, tolerance: float | None) -> float:
    """Seconds that QuantLib takes."""
    option, engine = case.engine(samples, tolerance)
    option.setPricingEngine(engine)
    begun = time.perf_counter()
    option.NPV()
    return time.perf_counter() - begun


def _flat(rate: float) -> ql.YieldTermStructureHandle:
    return ql.YieldTermStructureHandle(ql.FlatForward(TODAY, rate, DAYS))


def _process() -> ql.BlackScholesMertonProcess:
    surface = ql.BlackVolTermStructureHandle(ql.BlackConstantVol(TODAY, ql.NullCalendar(), VOLATILITY, DAYS))
    return ql.BlackScholesMertonProcess(ql.QuoteHandle(ql.SimpleQuote(SPOT)), _flat(DIVIDEND), _flat(RATE), surface)


def _accuracy(samples: int | None, tolerance: float | None) -> dict[str, float]:
    most = {"maxSamples": 2_000_000_000}
    return {"requiredSamples": samples} if samples else {"requiredTolerance": tolerance, **most}


def _vanilla(side: int, exercise: ql.Exercise) -> ql.VanillaOption:
    return ql.VanillaOption(ql.PlainVanillaPayoff(side, STRIKE), exercise)


def european(samples: int | None, tolerance: float | None) -> tuple[ql.Option, ql.PricingEngine]:
    """A European call in one step."""
    accuracy = _accuracy(samples, tolerance)
    engine = ql.MCEuropeanEngine(_process(), "PseudoRandom", timeSteps=1, antitheticVariate=True, seed=7, **accuracy)
    return _vanilla(ql.Option.Call, ql.EuropeanExercise(TODAY + 365)), engine


def asian(samples: int | None, tolerance: float | None) -> tuple[ql.Option, ql.PricingEngine]:
    """An arithmetic Asian call with daily fixings, and the geometric control variate."""
    fixings = [TODAY + round(365 * i / 252) for i in range(1, 253)]
    option = ql.DiscreteAveragingAsianOption(
        ql.Average.Arithmetic,
        fixings,
        ql.PlainVanillaPayoff(ql.Option.Call, STRIKE),
        ql.EuropeanExercise(TODAY + 365),
    )
    accuracy = _accuracy(samples, tolerance)
    engine = ql.MCDiscreteArithmeticAPEngine(
        _process(), "PseudoRandom", antitheticVariate=True, controlVariate=True, seed=7, **accuracy
    )
    return option, engine


def heston(samples: int | None, tolerance: float | None) -> tuple[ql.Option, ql.PricingEngine]:
    """A European call under Heston's model."""
    spot = ql.QuoteHandle(ql.SimpleQuote(SPOT))
    v0, kappa, theta, sigma, rho = HESTON
    process = ql.HestonProcess(_flat(RATE), _flat(DIVIDEND), spot, v0, kappa, theta, sigma, rho)
    accuracy = _accuracy(samples, tolerance)
    engine = ql.MCEuropeanHestonEngine(
        process, "PseudoRandom", timeSteps=100, antitheticVariate=True, seed=7, **accuracy
    )
    return _vanilla(ql.Option.Call, ql.EuropeanExercise(TODAY + 365)), engine


def american(samples: int | None, tolerance: float | None) -> tuple[ql.Option, ql.PricingEngine]:
    """An American put by Longstaff and Schwartz, with the European control variate."""
    accuracy = _accuracy(samples, tolerance)
    engine = ql.MCAmericanEngine(
        _process(),
        "PseudoRandom",
        timeSteps=50,
        antitheticVariate=True,
        controlVariate=True,
        seed=7,
        nCalibrationSamples=4096,
        **accuracy,
    )
    return _vanilla(ql.Option.Put, ql.AmericanExercise(TODAY, TODAY + 365)), engine
