"""Black-Scholes beside vollib, fast-vollib and QuantLib: options per second, and the error of implied volatilities."""

import importlib
import os
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from luna_serving.engines.finance.blackscholes.api.compute import Engine, Options, configure_jax, warm_up
from luna_serving.engines.finance.blackscholes.api.names import GREEKS

from .figures import Figure, rate

NAME: Final = "Black-Scholes"


def measure(quick: bool) -> list[Figure]:
    """All figures; a million options, or 65,536."""
    configure_jax()
    engine = warm_up(cores=os.cpu_count() or 1)
    n = 1 << (16 if quick else 20)
    rng = np.random.default_rng(0)
    strikes = rng.uniform(60.0, 160.0, n)
    # Out of the money: the peers lose the digits of others before they begin.
    c = {
        "sign": np.where(strikes > 103.0, 1.0, -1.0),
        "underlying": np.full(n, 100.0),
        "strike": strikes,
        "rate": np.full(n, 0.03),
        "dividend_yield": np.zeros(n),
        "expiry": rng.uniform(0.05, 2.0, n),
    }
    sigma = rng.uniform(0.1, 0.6, n)
    prices = engine.evaluate(Options(**c, volatility=sigma), ["price"]).columns["price"]
    keep = np.flatnonzero(prices > 1e-10 * c["underlying"])
    some = {name: each[keep] for name, each in c.items()}
    implied = Options(**some, price=prices[keep])
    figures = [
        _price(engine, c, sigma, n),
        Figure("all Greeks", _rate(engine, Options(**c, volatility=sigma), list(GREEKS), n), "options/s"),
    ]
    ours = _rate(engine, implied, ["implied_volatility"], len(keep))
    found = engine.evaluate(implied, ["implied_volatility"]).columns["implied_volatility"]
    figures += _implied_peers(ours, found, some, prices[keep], sigma[keep])
    figures.append(_american(engine, 512 if quick else 4096))
    return figures


def _rate(engine: Engine, options: Options, outputs: list[str], n: int) -> float:
    return rate(lambda: engine.evaluate(options, outputs), n)


def _price(engine: Engine, c: dict[str, np.ndarray], sigma: np.ndarray, n: int) -> Figure:
    return Figure("prices", _rate(engine, Options(**c, volatility=sigma), ["price"], n), "options/s")


def _implied_peers(
    ours: float, found: np.ndarray, c: dict[str, np.ndarray], prices: np.ndarray, sigma: np.ndarray
) -> list[Figure]:
    figures = []
    error = _error(found, sigma)
    for name, make in (("vollib", _vollib), ("fast-vollib", _fast_vollib)):
        try:
            call, rows = make(c, prices)
        except ImportError:
            continue
        theirs = rate(call, rows, repeats=2)
        note = f"median and largest relative error {error}, theirs {_error(np.asarray(call(), float), sigma[:rows])}"
        figures.append(Figure("implied volatilities", ours, "options/s", theirs, name, note))
    return figures or [Figure("implied volatilities", ours, "options/s", note=error)]


def _error(found: np.ndarray, sigma: np.ndarray) -> str:
    off = np.abs(found / sigma - 1.0)
    known = off[np.isfinite(off)]
    return f"{np.median(known):.1e} {np.max(known):.1e}"


def _vollib(c: dict[str, np.ndarray], prices: np.ndarray) -> tuple[Callable[[], Any], int]:
    module = importlib.import_module("py_vollib.black_scholes.implied_volatility")
    rows = min(2000, len(prices))
    flags = ["c" if w > 0 else "p" for w in c["sign"][:rows]]
    columns = [c[name][:rows].tolist() for name in ("underlying", "strike", "expiry", "rate")]
    given = list(zip(prices[:rows].tolist(), *columns, flags, strict=True))
    return lambda: [module.implied_volatility(*row) for row in given], rows


def _fast_vollib(c: dict[str, np.ndarray], prices: np.ndarray) -> tuple[Callable[[], Any], int]:
    module = importlib.import_module("fast_vollib")
    flags = np.where(c["sign"] > 0, "c", "p")
    given = (prices, c["underlying"], c["strike"], c["expiry"], c["rate"], flags)
    call = getattr(module, "fast_implied_volatility", None)
    if call is None:
        raise ImportError("fast_vollib has no fast_implied_volatility")
    return lambda: np.asarray(call(*given, return_as="numpy"), float).ravel(), len(prices)


def _american(engine: Engine, n: int) -> Figure:
    rng = np.random.default_rng(1)
    options = Options(
        np.where(rng.random(n) < 0.5, 1.0, -1.0),
        100.0,
        rng.uniform(80.0, 120.0, n),
        0.05,
        0.02,
        rng.uniform(0.1, 2.0, n),
        volatility=rng.uniform(0.15, 0.5, n),
        american=True,
    )
    ours = rate(lambda: engine.evaluate(options, ["price"]), n, repeats=3)
    try:
        ql = importlib.import_module("QuantLib")
    except ImportError:
        return Figure("American prices", ours, "options/s")
    theirs, worst = _quantlib(ql, engine, options)
    note = f"largest difference from its high-precision scheme {worst:.1e} of the strike"
    return Figure("American prices", ours, "options/s", theirs, "QuantLib, high precision", note)


def _quantlib(ql: Any, engine: Engine, options: Options) -> tuple[float, float]:  # noqa: ANN401  a module
    today, count, rows = ql.Date(1, 1, 2026), ql.Actual365Fixed(), 64
    ql.Settings.instance().evaluationDate = today
    days = np.maximum(1, np.round(options.expiry[:rows] * 365)).astype(int)

    def one(i: int) -> Any:  # noqa: ANN401  an option
        flat = [ql.YieldTermStructureHandle(ql.FlatForward(today, r, count)) for r in (0.02, 0.05)]
        surface = ql.BlackConstantVol(today, ql.NullCalendar(), float(options.volatility[i]), count)
        spot = ql.QuoteHandle(ql.SimpleQuote(100.0))
        process = ql.BlackScholesMertonProcess(spot, *flat, ql.BlackVolTermStructureHandle(surface))
        kind = ql.Option.Call if options.sign[i] > 0 else ql.Option.Put
        payoff = ql.PlainVanillaPayoff(kind, float(options.strike[i]))
        option = ql.VanillaOption(payoff, ql.AmericanExercise(today, today + int(days[i])))
        option.setPricingEngine(ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.highPrecisionScheme()))
        return option

    many = [one(i) for i in range(rows)]

    def priced() -> list[float]:
        for option in many:
            option.recalculate()
        return [option.NPV() for option in many]

    same = Options(
        options.sign[:rows],
        100.0,
        options.strike[:rows],
        0.05,
        0.02,
        days / 365,
        volatility=options.volatility[:rows],
        american=True,
    )
    found = engine.evaluate(same, ["price"]).columns["price"]
    worst = float(np.max(np.abs(found - priced()) / options.strike[:rows]))
    return rate(priced, rows, repeats=3), worst
