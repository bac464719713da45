"""What holds for every model and payoff: martingales, parities, correlations, bits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.finance.montecarlo.valued import (
    CALL,
    PSEUDO,
    PUT,
    SOBOL,
    gbm,
    lewis,
    merton,
    two_assets,
    valued,
)

from luna_serving.engines.finance.montecarlo.api.compute import compute, pictures, pilot
from luna_serving.engines.finance.montecarlo.api.description import (
    Asian,
    Barrier,
    Basket,
    Bootstrap,
    European,
    Exercise,
    Heston,
    Jumps,
    Lookback,
    Portfolio,
    Problem,
    Run,
    Spread,
    factor,
    least_eigenvalue,
    nearest,
)
from luna_serving.engines.finance.montecarlo.reduction.moments import Moments
from luna_serving.engines.finance.montecarlo.reduction.tails import Cells, Tail
from luna_serving.engines.finance.montecarlo.reduction.tree import Tree

MODELS = {"gbm": gbm(), "heston": lewis(), "merton": merton(), "bates": Jumps(lewis(), 1.0, -0.1, 0.15)}


@pytest.mark.parametrize("sampling", [PSEUDO, SOBOL], ids=lambda s: s.value)
@pytest.mark.parametrize("name", MODELS)
def test_the_discounted_price_is_a_martingale(name, sampling) -> None:
    """A call at nearly nothing is the asset."""
    model = MODELS[name]
    done = valued(model, European(CALL, 1e-9), 1.0, 12, sampling=sampling, controls=False)
    assert abs(done.value.value - model.martingales(1.0)[0]) < 4 * done.value.std_error


def test_the_variance_of_heston_where_it_often_touches_zero() -> None:
    model = Heston(100.0, 0.0, 0.0, 0.04, 0.5, 0.04, 1.0, -0.9)
    done = valued(model, European(CALL, 1e-9), 1.0, 16, controls=False, sampling=PSEUDO)
    assert abs(done.value.value - 100.0) < 4 * done.value.std_error


def test_a_variance_of_zero_stays_there() -> None:
    model = Heston(100.0, 0.05, 0.0, 0.0, 1.0, 0.0, 0.5, -0.5)
    done = valued(model, European(CALL, 90.0), 1.0, 4)
    assert done.value.value == pytest.approx(100 - 90 * math.exp(-0.05), rel=1e-9)


def test_a_variance_that_is_certain_is_black_and_scholes() -> None:
    model = Heston(100.0, 0.05, 0.02, 0.04, 1.0, 0.04, 1e-6, 0.0)
    done = valued(model, European(CALL, 100.0), 1.0, 4)
    assert abs(done.value.value - 9.22700550815) < 4 * done.value.std_error + 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_in_and_out_are_the_vanilla_option(name) -> None:
    """On the same paths, to rounding: not only on average."""
    out, inside = (
        valued(MODELS[name], Barrier(CALL, 100.0, 90.0, up=False, out=out, rebate=0.0), 1.0, 4, controls=False)
        for out in (True, False)
    )
    vanilla = valued(MODELS[name], European(CALL, 100.0), 1.0, 4, controls=False)
    assert out.value.value + inside.value.value == pytest.approx(vanilla.value.value, rel=1e-12)


def test_put_call_parity_to_rounding_on_the_same_paths() -> None:
    call, put = (valued(gbm(), European(side, 100.0), controls=False).value.value for side in (CALL, PUT))
    forward = valued(gbm(), European(CALL, 1e-12), controls=False).value.value
    assert call - put == pytest.approx(forward - 100 * math.exp(-0.05), abs=1e-9)


def test_an_asset_without_volatility_is_certain() -> None:
    done = valued(gbm(volatility=0.0), European(CALL, 90.0))
    assert done.value.value == pytest.approx(100 * math.exp(-0.02) - 90 * math.exp(-0.05), rel=1e-12)
    assert done.value.std_error < 1e-12


def test_correlated_assets_have_their_correlations() -> None:
    model = two_assets(-0.7)
    done = Problem(model, Spread(CALL, 0.0), 1.0, 1, 7, PSEUDO)
    (draws,) = done.drawing.block(7, 0)
    (step,) = draws.steps()
    move = model.advance(model.begin(draws.paths), 1.0, step)
    assert np.corrcoef(move.end)[0, 1] == pytest.approx(-0.7, abs=0.02)


@given(st.integers(2, 6), st.integers(0, 10_000))
@settings(max_examples=50, deadline=None)
def test_the_nearest_correlation_matrix_is_one(n: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    wrong = np.clip(generator.uniform(-1.2, 1.2, (n, n)), -1, 1)
    wrong = np.tril(wrong, -1)
    wrong = wrong + wrong.T + np.eye(n)
    near = nearest(wrong)
    assert least_eigenvalue(near) > -1e-9
    np.testing.assert_array_equal(np.diagonal(near), np.ones(n))
    lower = np.array(factor(near))
    np.testing.assert_allclose(lower @ lower.T, near, atol=1e-4)
    if least_eigenvalue(wrong) > 1e-3:
        np.testing.assert_allclose(near, wrong, atol=1e-6)


def test_the_nearest_matrix_of_higham() -> None:
    """Higham (2002), section 4: of the tridiagonal matrix of 2 and -1, scaled, as his table 4.1 has it."""
    wrong = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    expected = [[1.0, 0.7607, 0.1573], [0.7607, 1.0, 0.7607], [0.1573, 0.7607, 1.0]]
    np.testing.assert_allclose(nearest(wrong), expected, atol=1e-4)


PAST = np.array([[0.1, 0.0], [-0.1, 0.05]])
PROBLEMS = {
    "net": Problem(gbm(), Asian(CALL, 100.0, True, (0.25, 0.5, 1.0)), 1.0, 1, 3),
    "paths": Problem(lewis(), Lookback(CALL, None), 1.0, 5, 3, PSEUDO),
    "risk": Problem(two_assets(), Portfolio((0.5, 0.5), (0.95, 0.99)), 0.1, 1, 3),
    "early": Problem(gbm(), Exercise(PUT, 105.0, (0.5, 1.0), upper_bound=True), 1.0, 1, 3),
    "past": Problem(
        Bootstrap(np.array([[0.1, 0.0], [-0.1, 0.05]]), 2, (1.0, 1.0)), Basket(CALL, 1.0, (0.5, 0.5)), 3, 3, 3
    ),
}


@pytest.mark.parametrize("name", PROBLEMS)
def test_bits_do_not_depend_on_order_pieces_or_checkpoints(name) -> None:
    problem = PROBLEMS[name]
    known = pilot(problem)
    backwards = {block: compute(problem, pilot(problem), block) for block in reversed(range(5))}
    straight, resumed = Run(problem, known), Run(problem, known)
    for block in range(5):
        straight.add(compute(problem, known, block))
        resumed = Run.from_dict(problem, known, resumed.as_dict())
        resumed.add(backwards[block])
    assert straight.as_dict() == resumed.as_dict()
    assert straight.value == resumed.value
    assert straight.risks() == resumed.risks()
    assert straight.upper_bound == resumed.upper_bound


def test_a_tree_has_the_moments_of_all_samples() -> None:
    samples = np.random.default_rng(1).normal(size=(3, 2, 7 * 10)) + 5
    tree = Tree()
    for i in range(7):
        tree.add(Moments.of(samples[:, :, 10 * i : 10 * i + 10]))
    total, whole = tree.total(), Moments.of(samples)
    assert len(tree.complete) == 3
    np.testing.assert_allclose(total.mean, whole.mean, rtol=1e-13)
    np.testing.assert_allclose(total.comoment, whole.comoment, rtol=1e-10)
    np.testing.assert_allclose(total.pooled().comoment[0], np.cov(samples.reshape(3, -1)) * 139, rtol=1e-10)


def test_tails_are_the_order_statistics_to_a_cell() -> None:
    losses = np.random.default_rng(1).standard_t(4, 100_000)
    cells = Cells.of(losses[:4096])
    tail = Tail.of(cells, losses[:50_000]).joined(Tail.of(cells, losses[50_000:]))
    for level in (0.9, 0.95, 0.99, 0.999):
        var, es = tail.measures(level)
        exact = np.quantile(losses, level)
        assert var.value == pytest.approx(exact, abs=2 * cells.width)
        assert es.value == pytest.approx(losses[losses >= exact].mean(), abs=3 * cells.width)
        assert 0 < var.std_error < es.std_error


def test_a_bermudan_with_its_expiry_alone_is_european() -> None:
    done = valued(gbm(), Exercise(PUT, 100.0, (1.0,), upper_bound=False), steps=1)
    assert done.value.value == pytest.approx(6.33008062755, abs=1e-9)


def test_pictures_have_quantiles_in_order() -> None:
    drawn = pictures(PROBLEMS["risk"], pilot(PROBLEMS["risk"]))
    assert sum(drawn["histogram"]["counts"]) == 4096
    fan = np.array(drawn["fan"]["assets"])
    assert fan.shape == (2, 7, len(drawn["fan"]["times"]))
    assert (np.diff(fan[:, :, 1:], axis=1) > 0).all()
