"""The engine's payoff of a request's, with the steps that it needs."""

import math

from luna_serving.capabilities.montecarlo.schemas.payoffs import (
    AmericanPayoff,
    AnyPayoff,
    AsianPayoff,
    BarrierPayoff,
    BasketPayoff,
    BermudanPayoff,
    BestOfPayoff,
    DigitalPayoff,
    EuropeanPayoff,
    LookbackPayoff,
    PortfolioPayoff,
    SpreadPayoff,
    WorstOfPayoff,
)
from luna_serving.capabilities.montecarlo.wire.spots import wrong
from luna_serving.engines.finance.montecarlo.api.description import (
    Asian,
    Barrier,
    Basket,
    Bootstrap,
    Diffusion,
    Digital,
    European,
    Exercise,
    Extreme,
    Jumps,
    Lookback,
    Model,
    Payoff,
    Portfolio,
    Side,
    Spread,
    StateSpace,
)

OF_SEVERAL = (BasketPayoff, BestOfPayoff, WorstOfPayoff, PortfolioPayoff)
EARLY = (AmericanPayoff, BermudanPayoff)
CONTINUOUS = (BarrierPayoff, LookbackPayoff)


def payoff_of(payoff: AnyPayoff, model: Model, expiry: float, steps: int) -> Payoff:
    """Build a payoff.

    Raises:
        Problem: 422.
    """
    _check_assets(payoff, model)
    _check_model(payoff, model)
    match payoff:
        case PortfolioPayoff():
            return Portfolio(tuple(payoff.weights), tuple(dict.fromkeys(payoff.levels)))
        case SpreadPayoff():
            return Spread(Side(payoff.type), payoff.strike)
        case BasketPayoff():
            return Basket(Side(payoff.type), payoff.strike, tuple(payoff.weights))
        case BestOfPayoff() | WorstOfPayoff():
            return Extreme(Side(payoff.type), payoff.strike, isinstance(payoff, BestOfPayoff))
        case LookbackPayoff():
            return Lookback(Side(payoff.type), payoff.strike)
        case BarrierPayoff():
            return _barrier(payoff, model)
        case DigitalPayoff():
            return Digital(Side(payoff.type), payoff.strike, payoff.cash)
        case AsianPayoff():
            return _asian(payoff, model, expiry)
        case AmericanPayoff() | BermudanPayoff():
            return _early(payoff, expiry, steps)
        case EuropeanPayoff():
            return European(Side(payoff.type), payoff.strike)


def _check_assets(payoff: AnyPayoff, model: Model) -> None:
    if isinstance(payoff, BasketPayoff | PortfolioPayoff):
        if len(payoff.weights) != model.assets:
            detail = f"Must have {model.assets} numbers, one per asset of the model; has {len(payoff.weights)}."
            raise wrong("/payoff/weights", detail)
    elif isinstance(payoff, SpreadPayoff):
        if model.assets != 2:
            raise wrong("/payoff/kind", f"A spread is of two assets; the model has {model.assets}.")
    elif not isinstance(payoff, OF_SEVERAL) and model.assets != 1:
        detail = f"Is on one asset; the model has {model.assets}. Use basket, best_of, worst_of or portfolio."
        raise wrong("/payoff/kind", detail)


def _check_model(payoff: AnyPayoff, model: Model) -> None:
    if isinstance(payoff, EARLY + CONTINUOUS) and isinstance(model, Bootstrap | StateSpace):
        detail = f"A {payoff.kind} option needs a model in continuous time: gbm, heston, merton or bates."
        raise wrong("/payoff/kind", detail)


def _early(payoff: AmericanPayoff | BermudanPayoff, expiry: float, steps: int) -> Exercise:
    if isinstance(payoff, AmericanPayoff):
        dates = (*(expiry * i / steps for i in range(1, steps)), expiry)
    else:
        dates = increasing(payoff.exercise_dates, expiry, "/payoff/exercise_dates")
        # At expiry it is exercised where that pays, as any option.
        if dates[-1] < expiry:
            dates = (*dates, expiry)
    return Exercise(Side(payoff.type), payoff.strike, dates, payoff.upper_bound)


def _barrier(payoff: BarrierPayoff, model: Model) -> Barrier:
    up = payoff.direction == "up"
    spot = _spot(model)
    if up and payoff.barrier <= spot:
        raise wrong("/payoff/barrier", f"Must be above the spot, {spot:g}, for the direction up: it is hit already.")
    if not up and payoff.barrier >= spot:
        raise wrong("/payoff/barrier", f"Must be below the spot, {spot:g}, for the direction down: it is hit already.")
    return Barrier(Side(payoff.type), payoff.strike, payoff.barrier, up, payoff.knock == "out", payoff.rebate)


def _spot(model: Model) -> float:
    return math.exp(float(model.begin(1).logs[0, 0]))


def _asian(payoff: AsianPayoff, model: Model, expiry: float) -> Asian:
    if isinstance(payoff.fixings, int):
        n = payoff.fixings
        if model.periodic and round(expiry) % n:
            raise wrong("/payoff/fixings", f"Must divide {round(expiry)}, the number of periods.")
        fixings = (*(expiry * i / n for i in range(1, n)), expiry)
        if model.periodic:
            fixings = tuple(float(round(t)) for t in fixings)
    else:
        fixings = increasing(payoff.fixings, expiry, "/payoff/fixings")
        if model.periodic:
            for i, t in enumerate(fixings):
                if t != round(t):
                    raise wrong(f"/payoff/fixings/{i}", "Must be a whole number: time counts in periods.")
    return Asian(Side(payoff.type), payoff.strike, payoff.average == "arithmetic", fixings)


def increasing(dates: list[float], expiry: float, at: str) -> tuple[float, ...]:
    """Dates as they may be: increasing, at most expiry.

    Raises:
        Problem: 422.
    """
    if not dates:
        raise wrong(at, "Must hold at least one date.")
    before = 0.0
    for i, date in enumerate(dates):
        if date <= before:
            raise wrong(f"{at}/{i}", f"Must be later than {before:g}: dates increase.")
        # A date within rounding of expiry is expiry.
        if date > expiry * (1 + 1e-12):
            raise wrong(f"{at}/{i}", f"Must be at most expiry, {expiry:g}.")
        before = date
    return (*dates[:-1], min(dates[-1], expiry) if dates[-1] < expiry * (1 - 1e-12) else expiry)


def default_steps(payoff: AnyPayoff, model: Model, expiry: float) -> int:
    """As few steps as are exact; else enough that their error is below that of 10^5 paths."""
    if isinstance(payoff, AmericanPayoff):
        return min(1000, max(10, round(50 * expiry)))
    exact = isinstance(model, Diffusion)
    if isinstance(model, Jumps) and isinstance(model.diffusion, Diffusion):
        # Exact in law; but its jumps fall on the ends of steps, which a continuous monitor would see.
        exact = not isinstance(payoff, CONTINUOUS)
    return 1 if exact else min(1000, max(10, round(100 * expiry)))
