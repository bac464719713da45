"""American options: QuantLib as an independent reference, and what must hold of any price."""

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813  as its documentation writes it

from luna_serving.engines.finance.blackscholes.api.compute import Engine, Options, RowCode

from .collocation import reference

DAYS = 365
COLUMNS = ("sign", "underlying", "rate", "dividend_yield", "volatility", "days")


def quantlib(sign: float, s: float, k: float, r: float, q: float, sigma: float, days: int) -> float:
    """The high-precision scheme of QuantLib's own collocation."""
    today = ql.Date(1, 1, 2026)
    ql.Settings.instance().evaluationDate = today
    count = ql.Actual365Fixed()
    flat = [ql.YieldTermStructureHandle(ql.FlatForward(today, each, count)) for each in (q, r)]
    surface = ql.BlackVolTermStructureHandle(ql.BlackConstantVol(today, ql.NullCalendar(), sigma, count))
    process = ql.BlackScholesMertonProcess(ql.QuoteHandle(ql.SimpleQuote(s)), *flat, surface)
    kind = ql.Option.Call if sign > 0 else ql.Option.Put
    option = ql.VanillaOption(ql.PlainVanillaPayoff(kind, k), ql.AmericanExercise(today, today + days))
    option.setPricingEngine(ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.highPrecisionScheme()))
    return float(option.NPV())


def chain(count: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        "sign": rng.choice([1.0, -1.0], count),
        "underlying": rng.uniform(60.0, 150.0, count),
        "rate": rng.choice([0.01, 0.02, 0.05, 0.1], count),
        "dividend_yield": rng.choice([0.0, 0.02, 0.05, 0.1], count),
        "volatility": rng.choice([0.1, 0.2, 0.3, 0.5], count),
        "days": rng.choice([30, 91, 182, 365, 730, 1095], count),
    }


def evaluated(engine: Engine, c: dict[str, np.ndarray], outputs: list[str], *, american: bool = True) -> dict:
    rest = {name: each for name, each in c.items() if name != "days"}
    options = Options(**rest, strike=100.0, expiry=c["days"] / DAYS, american=american)
    answer = engine.evaluate(options, outputs)
    assert set(answer.codes.tolist()) == {RowCode.OK}
    return dict(answer.columns)


def test_prices_agree_with_quantlib(engine: Engine) -> None:
    c = chain(150, 0)
    found = evaluated(engine, c, ["price"])["price"]
    expected = [
        quantlib(float(w), float(u), 100.0, float(r), float(q), float(v), int(days))
        for w, u, r, q, v, days in zip(*(c[name] for name in COLUMNS), strict=True)
    ]
    # 2e-8 of the strike: QuantLib's own iteration stops at about 1e-8.
    assert np.max(np.abs(found - expected)) < 2e-6


def test_an_american_option_is_worth_its_exercise_and_its_european_twin(engine: Engine) -> None:
    c = chain(400, 1)
    american = evaluated(engine, c, ["price", "delta", "gamma", "exercise_boundary"])
    european = evaluated(engine, c, ["price"], american=False)["price"]
    intrinsic = np.maximum(c["sign"] * (c["underlying"] - 100.0), 0.0)
    assert np.all(american["price"] >= european)
    assert np.all(american["price"] >= intrinsic)
    assert np.all(np.abs(american["delta"]) <= 1.0 + 1e-9)
    beyond = c["sign"] * (c["underlying"] - american["exercise_boundary"]) > 0
    assert np.allclose(american["price"][beyond], intrinsic[beyond], rtol=1e-14)


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["call", "put"])
def test_greeks_are_differences_of_prices(engine: Engine, sign: float) -> None:
    step, year = 0.05, 1e-3
    outputs = ["price", "delta", "gamma", "theta"]

    def valued(spots: object, times: object) -> dict[str, np.ndarray]:
        options = Options(sign, spots, 100.0, 0.06, 0.04, times, volatility=0.3, american=True)
        return dict(engine.evaluate(options, outputs).columns)

    at = valued(100.0, 1.0)
    near = valued(np.array([100.0 - step, 100.0, 100.0 + step]), 1.0)["price"]
    late = valued(100.0, np.array([1.0 - year, 1.0 + year]))["price"]
    assert at["delta"][0] == pytest.approx((near[2] - near[0]) / (2 * step), rel=1e-5)
    assert at["gamma"][0] == pytest.approx((near[2] - 2 * near[1] + near[0]) / step**2, rel=1e-3)
    assert at["theta"][0] == pytest.approx(-(late[1] - late[0]) / (2 * year), rel=1e-4)


def test_a_call_without_dividends_is_european(engine: Engine) -> None:
    given = (1.0, 100.0, np.linspace(80.0, 120.0, 9), 0.05, 0.0, 1.0)
    american = engine.evaluate(Options(*given, volatility=0.2, american=True), ["price", "exercise_boundary"])
    european = engine.evaluate(Options(*given, volatility=0.2), ["price"])
    assert american.columns["price"].tolist() == european.columns["price"].tolist()
    assert np.isnan(american.columns["exercise_boundary"]).all()


def test_two_boundaries_are_refused_by_a_code(engine: Engine) -> None:
    answer = engine.evaluate(
        Options([-1.0, -1.0, 1.0], 100.0, 100.0, [-0.01, -0.01, -0.03], [-0.03, 0.01, -0.01], 1.0, 0.2, american=True),
        ["price"],
    )
    assert [RowCode(code).word for code in answer.codes] == ["double_boundary", "ok", "double_boundary"]
    assert np.isnan(answer.columns["price"][[0, 2]]).all()


def test_low_volatility_and_high_rates_are_solved(engine: Engine) -> None:
    """The fast iteration does not converge here; the careful one does."""
    cases = [(99.6571693798853, 0.1, 0.01, 0.1, 730), (61.5, 0.06, 0.0, 0.2, 1095)]
    spots, rates, yields, volatilities, days = map(np.array, zip(*cases, strict=True))
    options = Options(-1.0, spots, 100.0, rates, yields, days / DAYS, volatility=volatilities, american=True)
    # QuantLib's scheme is 2e-6 off in the first: with more nodes it comes nearer to this reference.
    expected = 100.0 * reference(np.column_stack([spots / 100.0, rates, yields, volatilities, days / DAYS])).price
    assert engine.evaluate(options, ["price"]).columns["price"] == pytest.approx(expected, abs=1e-6)
