"""Prices and Greeks: parity, homogeneity, derivatives, limits."""

from typing import Any

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.finance.blackscholes.exact import price

from luna_serving.engines.finance.blackscholes.api.compute import Engine, Options, RowCode
from luna_serving.engines.finance.blackscholes.api.names import DIGITAL, GREEKS, OF_EUROPEAN

ROWS = 64
# By the arguments of `exact.price` after the sign (u, k, r, q, t, sigma), and the sign of the derivative.
ORDERS: dict[str, tuple[tuple[int, ...], int]] = {
    "delta": ((1, 0, 0, 0, 0, 0), 1),
    "gamma": ((2, 0, 0, 0, 0, 0), 1),
    "vega": ((0, 0, 0, 0, 0, 1), 1),
    "theta": ((0, 0, 0, 0, 1, 0), -1),
    "rho": ((0, 0, 1, 0, 0, 0), 1),
    "rho_q": ((0, 0, 0, 1, 0, 0), 1),
    "vanna": ((1, 0, 0, 0, 0, 1), 1),
    "volga": ((0, 0, 0, 0, 0, 2), 1),
    "charm": ((1, 0, 0, 0, 1, 0), -1),
    "veta": ((0, 0, 0, 0, 1, 1), -1),
    "speed": ((3, 0, 0, 0, 0, 0), 1),
    "zomma": ((2, 0, 0, 0, 0, 1), 1),
    "color": ((2, 0, 0, 0, 1, 0), -1),
    "ultima": ((0, 0, 0, 0, 0, 3), 1),
    "dual_delta": ((0, 1, 0, 0, 0, 0), 1),
    "dual_gamma": ((0, 2, 0, 0, 0, 0), 1),
}
POINTS = ((100.0, 90.0, 0.05, 0.02, 1.0, 0.2), (42.0, 47.0, -0.01, 0.0, 0.1, 0.35), (5.0, 4.0, 0.1, 0.15, 9.0, 0.6))
rows = st.fixed_dictionaries(
    {
        "underlying": st.floats(1.0, 500.0),
        "strike": st.floats(1.0, 500.0),
        "rate": st.floats(-0.05, 0.2),
        "dividend_yield": st.floats(-0.05, 0.2),
        "expiry": st.floats(0.003, 30.0),
        "volatility": st.floats(0.01, 3.0),
    }
)


def columns_of(many: list[dict[str, float]]) -> dict[str, Any]:
    return {name: np.array([each[name] for each in many]) for name in many[0]}


@given(st.lists(rows, min_size=ROWS, max_size=ROWS))
@settings(max_examples=20, deadline=None)
def test_call_and_put_are_at_parity(engine: Engine, many: list[dict[str, float]]) -> None:
    c = columns_of(many)
    call, put = (engine.evaluate(Options(sign, **c), ["price"]).columns["price"] for sign in (1.0, -1.0))
    a = c["underlying"] * np.exp(-c["dividend_yield"] * c["expiry"])
    b = c["strike"] * np.exp(-c["rate"] * c["expiry"])
    assert np.all(np.abs((call - put) - (a - b)) <= 4 * np.spacing(np.maximum(np.maximum(a, b), call)))


@given(st.lists(rows, min_size=ROWS, max_size=ROWS), st.integers(-20, 20))
@settings(max_examples=20, deadline=None)
def test_a_price_in_another_currency_is_the_same_price(
    engine: Engine, many: list[dict[str, float]], power: int
) -> None:
    c = columns_of(many)
    other = c | {"underlying": c["underlying"] * 2.0**power, "strike": c["strike"] * 2.0**power}
    one, two = (engine.evaluate(Options(1.0, **each), ["price"]).columns["price"] for each in (c, other))
    assert np.all(np.abs(two - one * 2.0**power) <= 4 * np.spacing(two))


@pytest.mark.parametrize("name", GREEKS)
@pytest.mark.parametrize("sign", [1.0, -1.0], ids=["call", "put"])
def test_a_greek_is_the_derivative_of_the_price(engine: Engine, name: str, sign: float) -> None:
    orders, factor = ORDERS[name]
    for row in POINTS:
        found = engine.evaluate(Options(sign, *row[:5], volatility=row[5]), [name]).columns[name][0]
        with mp.workdps(40):
            exact = factor * mp.diff(lambda *a: price(sign, *a), row, orders)
        assert found == pytest.approx(float(exact), rel=1e-11, abs=1e-13)


@pytest.mark.parametrize(
    ("name", "argument", "factor"), [("delta", 0, 1), ("rho", 2, 1), ("theta", 4, -1), ("vega", 5, 1)]
)
def test_with_a_forward_rates_and_time_do_not_move_it(engine: Engine, name: str, argument: int, factor: int) -> None:
    row = (100.0, 90.0, 0.05, 0.05, 1.5, 0.2)

    def black(f: Any, k: Any, r: Any, _: Any, t: Any, sigma: Any) -> Any:
        return price(1.0, f, k, r, r, t, sigma)

    options = Options(1.0, *row[:3], 0.0, row[4], volatility=row[5], forward=True)
    answer = engine.evaluate(options, ["price", name, "rho_q"])
    with mp.workdps(40):
        orders = tuple(int(i == argument) for i in range(6))
        exact = factor * mp.diff(black, row, orders)
    assert answer.columns[name][0] == pytest.approx(float(exact), rel=1e-12)
    assert answer.columns["rho_q"][0] == 0.0


def test_a_digital_option_pays_one(engine: Engine) -> None:
    answer = engine.evaluate(Options([1.0, -1.0], 100.0, 110.0, 0.05, 0.02, 1.0, volatility=0.2), [DIGITAL])
    assert sum(answer.columns[DIGITAL]) == pytest.approx(np.exp(-0.05), rel=1e-15)


def test_without_time_the_price_is_the_intrinsic_value(engine: Engine) -> None:
    options = Options([1.0, -1.0, 1.0], [110.0, 90.0, 90.0], 100.0, 0.05, 0.02, 0.0, volatility=0.2)
    answer = engine.evaluate(options, ["price", "delta", "gamma", "theta"])
    assert answer.columns["price"].tolist() == [10.0, 10.0, 0.0]
    assert answer.columns["delta"].tolist() == [1.0, -1.0, 0.0]
    assert answer.columns["gamma"].tolist() == answer.columns["theta"].tolist() == [0.0] * 3
    assert answer.codes.tolist() == [RowCode.EXPIRED] * 3


def test_without_volatility_the_price_is_that_of_the_forward(engine: Engine) -> None:
    options = Options(1.0, 100.0, [90.0, 110.0, 100.0], [0.05, 0.05, 0.0], 0.0, 1.0, volatility=0.0)
    answer = engine.evaluate(options, ["price", "gamma"])
    assert answer.columns["price"] == pytest.approx([100 - 90 * np.exp(-0.05), 0.0, 0.0], abs=1e-140)
    assert answer.codes.tolist() == [RowCode.OK, RowCode.OK, RowCode.UNDEFINED]
    assert answer.columns["gamma"][:2].tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    "change",
    [{"underlying": -1.0}, {"strike": 0.0}, {"volatility": -0.1}, {"volatility": np.nan}, {"rate": np.inf}],
    ids=lambda change: "-".join(map(str, *change.items())),
)
def test_a_bad_row_does_not_affect_the_others(engine: Engine, change: dict[str, float]) -> None:
    good = {
        "underlying": 100.0,
        "strike": 100.0,
        "rate": 0.05,
        "dividend_yield": 0.0,
        "expiry": 1.0,
        "volatility": 0.2,
    }
    outputs = [name for name in OF_EUROPEAN if name != "implied_volatility"]
    alone = engine.evaluate(Options(1.0, **good), outputs)
    both = engine.evaluate(Options(1.0, **{n: [v, (change | {}).get(n, v)] for n, v in good.items()}), outputs)
    assert both.codes.tolist() == [RowCode.OK, RowCode.INVALID]
    for name in outputs:
        assert both.columns[name][0] == alone.columns[name][0]
        assert np.isnan(both.columns[name][1])


def test_any_number_of_rows_is_answered_as_each_alone(engine: Engine) -> None:
    strikes = np.linspace(50.0, 150.0, 16384 + 64 + 3)
    many = engine.evaluate(Options(1.0, 100.0, strikes, 0.05, 0.0, 1.0, volatility=0.2), ["price"]).columns["price"]
    for i in (0, 63, 64, 16383, 16384, 16450):
        one = engine.evaluate(Options(1.0, 100.0, strikes[i], 0.05, 0.0, 1.0, volatility=0.2), ["price"])
        assert one.columns["price"][0] == pytest.approx(many[i], rel=1e-15)
