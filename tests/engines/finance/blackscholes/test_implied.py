"""Implied volatilities over the whole grid, against mpmath: within 4 ulp times the condition number."""

import mpmath as mp
import numpy as np
import pytest
from tests.engines.finance.blackscholes.exact import implied

from luna_serving.engines.finance.blackscholes.api.compute import Engine, Options, RowCode

ULP = 2.0**-52
VOLATILITIES = (1e-4, 1e-3, 1e-2, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3.0, 6.0, 10.0)
# Of ln(F/K), of both signs.
MONEYNESS = (0.0, 1e-8, 1e-4, 1e-2, 0.1, 0.3, 0.7, 1.5, 3.0, 5.0)
EXPIRIES = (1 / 365, 0.02, 0.1, 0.5, 1.0, 3.0, 10.0, 30.0)


def worst_error(engine: Engine, volatilities: np.ndarray, moneyness: np.ndarray, expiries: np.ndarray) -> float:
    """The largest error of options out of the money, in ulp times the condition number."""
    sigma, x, t = (each.ravel() for each in np.meshgrid(volatilities, moneyness, expiries, indexing="ij"))
    sign = np.where(x > 0, -1.0, 1.0)
    forward = np.exp(x)
    given = (sign, forward, 1.0, 0.0, 0.0, t)
    prices = engine.evaluate(Options(*given, volatility=sigma, forward=True), ["price"]).columns["price"]
    most = np.where(sign > 0, forward, 1.0)
    # Beyond these a price does not tell the volatility: it is 0, or its supremum in float64.
    keep = (prices > 1e-290) & (prices < most * (1 - 1e-13))
    answer = engine.evaluate(
        Options(sign[keep], forward[keep], 1.0, 0.0, 0.0, t[keep], price=prices[keep], forward=True),
        ["implied_volatility"],
    )
    assert set(answer.codes.tolist()) == {RowCode.OK}
    worst = 0.0
    found = answer.columns["implied_volatility"]
    with mp.workdps(60):
        for value, f, p, years in zip(found, forward[keep], prices[keep], t[keep], strict=True):
            beta, at = mp.mpf(float(p)) / mp.sqrt(mp.mpf(float(f))), -abs(mp.log(mp.mpf(float(f))))
            total = value * np.sqrt(years)
            depth = int(min((float(at) / total) ** 2, 1500.0) / 2) + 60
            with mp.workdps(depth):
                exact, condition = implied(beta, at, float(total))
                error = abs(value * mp.sqrt(mp.mpf(float(years))) / exact - 1)
            # The price's own condition, of x, and of the rounding of a square root.
            distance = float(abs(at) / exact**2) * float(abs(at))
            worst = max(worst, float(error) / ULP / (1 + float(condition) + float(condition) * distance))
    return worst


def test_implied_volatilities_are_exact_to_their_conditioning(engine: Engine) -> None:
    both = np.array([0.0, *(sign * each for each in MONEYNESS[1:] for sign in (-1.0, 1.0))])
    assert worst_error(engine, np.array(VOLATILITIES), both, np.array(EXPIRIES[::2])) < 4


@pytest.mark.slow
def test_implied_volatilities_are_exact_over_the_whole_grid(engine: Engine) -> None:
    moneyness = np.linspace(-5.0, 5.0, 41)
    assert worst_error(engine, np.geomspace(1e-4, 10.0, 40), moneyness, np.geomspace(1 / 365, 30.0, 16)) < 4


def test_prices_without_a_volatility_have_codes(engine: Engine) -> None:
    intrinsic = 100 - 90 * np.exp(-0.05)
    prices = [intrinsic - 1e-3, 100.0, 101.0, -1.0, 20.0]
    answer = engine.evaluate(Options(1.0, 100.0, 90.0, 0.05, 0.0, 1.0, price=prices), ["implied_volatility"])
    assert [RowCode(code).word for code in answer.codes] == [
        "below_intrinsic",
        "above_maximum",
        "above_maximum",
        "invalid",
        "ok",
    ]
    assert np.isnan(answer.columns["implied_volatility"][:4]).all()


def test_a_volatility_of_nothing_is_found(engine: Engine) -> None:
    answer = engine.evaluate(Options(1.0, 100.0, 110.0, 0.0, 0.0, 1.0, price=0.0), ["implied_volatility"])
    assert answer.columns["implied_volatility"].tolist() == [0.0]


@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["call", "put"])
def test_options_in_the_money_give_back_their_volatility(engine: Engine, sign: float) -> None:
    strikes = np.linspace(60.0, 140.0, 81)
    given = (sign, 100.0, strikes, 0.03, 0.01, 0.75)
    prices = engine.evaluate(Options(*given, volatility=0.25), ["price"]).columns["price"]
    found = engine.evaluate(Options(*given, price=prices), ["implied_volatility"]).columns["implied_volatility"]
    assert found == pytest.approx(np.full(81, 0.25), rel=1e-11)
