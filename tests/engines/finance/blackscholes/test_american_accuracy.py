"""American prices over a wide range of parameters, beside a slow reference, and what must hold of a chain."""

import numpy as np
import pytest

from luna_serving.engines.finance.blackscholes.api.compute import Engine, Options, RowCode

from .collocation import reference

# Of the strike.
BOUND = 1e-8
# Of a price by a last change of ln B: those of the reference that are too large prove nothing.
CONVERGED = 1e-8


def wide(count: int, seed: int) -> np.ndarray:
    """Puts with strike 1: σ 0.01 to 2, rates to 0.2, a day to 30 years, moneyness 0.3 to 3."""
    rng = np.random.default_rng(seed)
    puts: list[tuple[float, ...]] = []
    while len(puts) < count:
        sigma = np.exp(rng.uniform(np.log(0.01), np.log(2.0)))
        expiry = np.exp(rng.uniform(np.log(1.0 / 365.0), np.log(30.0)))
        r = rng.uniform(0.0, 0.2) if rng.random() < 0.8 else rng.choice([1e-4, 0.05, 0.2])
        q = rng.uniform(-0.05, 0.2) if rng.random() < 0.8 else rng.choice([0.0, 1e-4, 0.05, 0.2, r])
        # Most near the money on the scale of the distribution: elsewhere there is no premium, or only exercise.
        near = np.exp(rng.normal() * min(sigma * np.sqrt(expiry), 1.0))
        spot = rng.uniform(0.3, 3.0) if rng.random() < 0.3 else near
        if 0.3 <= spot <= 3.0 and r > 0.0 and sigma * np.sqrt(expiry) > 1e-3:
            puts.append((float(spot), float(r), float(q), float(sigma), float(expiry)))
    return np.array(puts)


EDGES = np.array(
    [
        (1.0, 0.05, 0.0, 0.2, 1.0),
        (1.0, 0.05, 0.05, 0.2, 1.0),
        (1.0, 0.05, 0.0500001, 0.2, 1.0),
        (1.0, 0.05, 0.0499999, 0.2, 1.0),
        (1.0, 1e-6, 0.0, 0.3, 2.0),
        (1.0, 0.02, 0.1, 0.3, 2.0),
        (0.97, 0.05, 0.02, 0.3, 1.0 / 365.0),
        (2.9, 0.05, 0.02, 0.3, 1.0),
        (0.31, 0.05, 0.1, 0.3, 1.0),
        (1.0, 0.2, 0.0, 0.02, 10.0),
        (1.0, 0.05, -0.04, 0.2, 5.0),
        # The points of the price, the nodes, and the reference's nodes were too few here.
        (0.988575, 0.132473, -0.0062965, 0.0603587, 10.0488),
        (0.85446, 0.06383, 0.060288, 1.74836, 1.30023),
        (0.3383, 0.1079, 0.1763, 0.6894, 29.1163),
    ]
)


def ordinary(count: int, seed: int) -> np.ndarray:
    """Puts with strike 1 that fewer nodes are meant for: σ√T to 0.75, r√T/σ and q√T/σ to 0.5, and beyond."""
    rng = np.random.default_rng(seed)
    total = np.exp(rng.uniform(np.log(0.02), np.log(0.8), count))
    expiry = rng.uniform(0.02, 3.0, count)
    rate, dividend_yield = rng.uniform(0.0, 0.55, (2, count)) * total / expiry
    dividend_yield[: count // 4] = 0.0
    spot = np.exp(rng.normal(size=count) * total)
    return np.column_stack([spot, rate, dividend_yield, total / np.sqrt(expiry), expiry])


def priced(engine: Engine, puts: np.ndarray, outputs: tuple[str, ...] = ("price",), *, call: bool = False) -> dict:
    """Answers of puts with strike 1, or of the calls that are worth the same."""
    spot, r, q, sigma, expiry = puts.T
    if call:
        options = Options(1.0, 1.0, spot, q, r, expiry, volatility=sigma, american=True)
    else:
        options = Options(-1.0, spot, 1.0, r, q, expiry, volatility=sigma, american=True)
    answer = engine.evaluate(options, outputs)
    assert set(answer.codes.tolist()) == {RowCode.OK}
    return dict(answer.columns)


def assert_accurate(engine: Engine, puts: np.ndarray) -> None:
    expected = reference(puts)
    known = expected.change < CONVERGED
    assert known.mean() > 0.95
    error = np.abs(priced(engine, puts)["price"] - expected.price)[known]
    assert np.max(error) < BOUND, puts[known][np.argmax(error)]


def test_prices_are_accurate_over_a_wide_range(engine: Engine) -> None:
    assert_accurate(engine, wide(60, 0))


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_prices_are_accurate_over_a_wide_range_at_length(engine: Engine) -> None:
    assert_accurate(engine, wide(2000, 1))


def test_prices_of_ordinary_options_are_accurate(engine: Engine) -> None:
    assert_accurate(engine, ordinary(100, 4))


def test_prices_at_the_edges_are_accurate(engine: Engine) -> None:
    assert_accurate(engine, EDGES)


def test_a_call_is_worth_the_put_with_spot_and_strike_exchanged(engine: Engine) -> None:
    puts = wide(100, 2)
    assert np.allclose(priced(engine, puts)["price"], priced(engine, puts, call=True)["price"], rtol=0.0, atol=1e-13)


@pytest.mark.parametrize("q", [0.02, 0.08], ids=["more rate", "more yield"])
def test_a_chain_is_monotone_and_convex_in_the_strike(engine: Engine, q: float) -> None:
    strikes = np.linspace(60.0, 160.0, 101)
    options = Options(-1.0, 100.0, strikes, 0.05, q, 1.0, volatility=0.25, american=True)
    price = engine.evaluate(options, ["price"]).columns["price"]
    assert np.all(np.diff(price) > 0.0)
    assert np.all(np.diff(price, 2) > -1e-10)


def test_prices_and_greeks_are_continuous_where_the_solver_changes(engine: Engine) -> None:
    """Rows with q <= r and q > r have different grids, those that converge slowly another equation."""
    step = 1e-9
    yields = np.repeat(np.array([[1.0, 0.05, 0.05 - step, 0.2, 1.0], [1.0, 0.05, 0.05 + step, 0.2, 1.0]]), 1, axis=0)
    found = priced(engine, yields, ("price", "delta", "gamma", "theta"))
    assert abs(np.diff(found["price"])[0]) < 2 * BOUND
    for name in ("delta", "gamma", "theta"):
        assert np.diff(found[name])[0] == pytest.approx(0.0, abs=1e-5)
    # The largest σ√T, r√T/σ and r/q of the rows with fewer nodes.
    for rate, dividend_yield, volatility in (
        (0.05, 0.02, 0.75),
        (0.05, 0.2, 0.75),
        (0.15, 0.05, 0.3),
        (0.05, 0.1, 0.3),
    ):
        at = np.array([[1.0, rate, dividend_yield, volatility, 1.0]])
        # With more rate and expiry all three are larger.
        sides = priced(engine, at * (1.0 + np.array([[-step], [step]]) * [0.0, 1.0, 0.0, 0.0, 1.0]))
        assert abs(np.diff(sides["price"])[0]) < 2 * BOUND
    rates = np.linspace(0.05, 0.3, 251)
    zeros = np.zeros_like(rates)
    across = np.column_stack([zeros + 1.0, rates, zeros + 0.01, zeros + 0.15, zeros + 4.0])
    # A jump of the price shows in its fourth differences, which are far smaller where it is smooth.
    assert np.max(np.abs(np.diff(priced(engine, across)["price"], 4))) < 16 * BOUND
