"""Values of QuantLib's analytic engines; the evaluation date is set in each."""

import QuantLib as ql  # noqa: N813  as its documentation

from luna_serving.engines.finance.montecarlo.api.description import Barrier, Heston, Jumps, Lookback, Side

TODAY = ql.Date(2, 1, 2024)
DAYS = ql.Actual365Fixed()


def _flat(rate: float) -> ql.YieldTermStructureHandle:
    return ql.YieldTermStructureHandle(ql.FlatForward(TODAY, rate, DAYS))


def _expiry(days: int) -> ql.Date:
    ql.Settings.instance().evaluationDate = TODAY
    return TODAY + days


def _process(s: float, r: float, q: float, sigma: float) -> ql.BlackScholesMertonProcess:
    surface = ql.BlackVolTermStructureHandle(ql.BlackConstantVol(TODAY, ql.NullCalendar(), sigma, DAYS))
    return ql.BlackScholesMertonProcess(ql.QuoteHandle(ql.SimpleQuote(s)), _flat(q), _flat(r), surface)


def _type(side: Side) -> int:
    return ql.Option.Call if side is Side.CALL else ql.Option.Put


def barrier(payoff: Barrier, s: float, r: float, q: float, sigma: float, days: int) -> float:
    exercise = ql.EuropeanExercise(_expiry(days))
    kind = {
        (True, True): ql.Barrier.UpOut,
        (True, False): ql.Barrier.UpIn,
        (False, True): ql.Barrier.DownOut,
        (False, False): ql.Barrier.DownIn,
    }[payoff.up, payoff.out]
    vanilla = ql.PlainVanillaPayoff(_type(payoff.side), payoff.strike)
    option = ql.BarrierOption(kind, payoff.barrier, payoff.rebate, vanilla, exercise)
    option.setPricingEngine(ql.AnalyticBarrierEngine(_process(s, r, q, sigma)))
    return option.NPV()


def lookback(payoff: Lookback, s: float, r: float, q: float, sigma: float, days: int) -> float:
    exercise = ql.EuropeanExercise(_expiry(days))
    process = _process(s, r, q, sigma)
    if payoff.strike is None:
        option = ql.ContinuousFloatingLookbackOption(s, ql.FloatingTypePayoff(_type(payoff.side)), exercise)
        option.setPricingEngine(ql.AnalyticContinuousFloatingLookbackEngine(process))
    else:
        option = ql.ContinuousFixedLookbackOption(s, ql.PlainVanillaPayoff(_type(payoff.side), payoff.strike), exercise)
        option.setPricingEngine(ql.AnalyticContinuousFixedLookbackEngine(process))
    return option.NPV()


def heston(model: Heston, side: Side, strike: float, days: int) -> float:
    exercise = ql.EuropeanExercise(_expiry(days))
    spot = ql.QuoteHandle(ql.SimpleQuote(model.spot))
    process = ql.HestonProcess(
        _flat(model.rate), _flat(model.dividend_yield), spot, model.v0, model.kappa, model.theta, model.sigma, model.rho
    )
    option = ql.VanillaOption(ql.PlainVanillaPayoff(_type(side), strike), exercise)
    option.setPricingEngine(ql.AnalyticHestonEngine(ql.HestonModel(process), 1e-10, 100_000))
    return option.NPV()


def bates(model: Jumps, side: Side, strike: float, days: int) -> float:
    exercise = ql.EuropeanExercise(_expiry(days))
    h = model.diffusion
    assert isinstance(h, Heston)
    process = ql.BatesProcess(
        _flat(h.rate),
        _flat(h.dividend_yield),
        ql.QuoteHandle(ql.SimpleQuote(h.spot)),
        h.v0,
        h.kappa,
        h.theta,
        h.sigma,
        h.rho,
        model.intensity,
        model.mean,
        model.deviation,
    )
    option = ql.VanillaOption(ql.PlainVanillaPayoff(_type(side), strike), exercise)
    option.setPricingEngine(ql.BatesEngine(ql.BatesModel(process), 144))
    return option.NPV()


def extreme(side: Side, strike: float, days: int, *, best: bool, correlation: float = 0.5) -> float:
    """Stulz: of the two assets of `valued.two_assets`."""
    exercise = ql.EuropeanExercise(_expiry(days))
    first, second = _process(100.0, 0.05, 0.02, 0.2), _process(95.0, 0.05, 0.01, 0.3)
    vanilla = ql.PlainVanillaPayoff(_type(side), strike)
    payoff = ql.MaxBasketPayoff(vanilla) if best else ql.MinBasketPayoff(vanilla)
    option = ql.BasketOption(payoff, exercise)
    option.setPricingEngine(ql.StulzEngine(first, second, correlation))
    return option.NPV()
