"""Smoothed means of series that share their weights, against the conditioned joint Gaussian and the smoother."""

from collections.abc import Callable

import numpy as np
import pytest
from tests.engines.statespace.oracle import Joint
from tests.engines.statespace.test_simulation_smoother import (
    CASES,
    GAPS,
    NAN,
    NILE,
    TREND,
    given,
    three_observed,
    varying,
)

from luna_serving.engines.statespace.batch import smooth_batch
from luna_serving.engines.statespace.kinds import KINDS
from luna_serving.engines.statespace.model.initial import Diffuse
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.process.deadline import OutOfTime
from luna_serving.engines.statespace.simulation import shared_means as module
from luna_serving.engines.statespace.simulation.shared_means import shared_means

BASIC = KINDS["structural"](
    obs_var=1.0, level={"var": 0.5}, trend={"var": 0.1}, seasonal={"period": 7, "var": 0.2}, initial=None
)
REGRESSION = KINDS["structural"](
    obs_var=1.0,
    level={"var": 0.5},
    regression={"regressors": [[float(t % 3), float(t * t % 7)] for t in range(30)]},
    initial=None,
)
AIRLINE = {"order": [0, 1, 1], "ma": [-0.4], "seasonal_ma": [-0.5], "var": 1.3, "initial": None}


def airline(season: int) -> Model:
    return KINDS["arima"](seasonal_order=[0, 1, 1, season], **AIRLINE)


def many(model: Model, periods: int, series: int = 3, *, gaps: tuple[int, ...] = ()) -> np.ndarray:
    """Series [series, T, m] that miss the same periods."""
    y = np.random.default_rng(5).normal(size=(series, periods, model.observed)) * 3
    y[:, list(gaps)] = NAN
    return y


def dense(model: Model, y: np.ndarray) -> np.ndarray:
    """E[state | y] [T, n]."""
    return given(model, y)[0][: len(y) * model.states].reshape(len(y), model.states)


DENSE: dict[str, Callable[[], tuple[Model, np.ndarray]]] = {
    **CASES,
    "an airline model of twelve months with gaps": lambda: (airline(12), many(airline(12), 40, 1, gaps=(20, 33))[0]),
    "an airline model of four quarters with a gap": lambda: (airline(4), many(airline(4), 23, 1, gaps=(15,))[0]),
    "a gap in the diffuse phase": lambda: (BASIC, many(BASIC, 25, 1, gaps=(2, 5, 6))[0]),
    "coefficients that the square-root filter tells": lambda: (REGRESSION, many(REGRESSION, 30, 1, gaps=(1, 9))[0]),
    "several observed in the diffuse phase": lambda: (
        three_observed(initial=Diffuse()),
        CASES["noise that its neighbours tell of"]()[1],
    ),
    "more observed than states": lambda: (
        Model(
            transition=[[1.0]],
            design=[[1.0], [0.5], [2.0]],
            obs_cov=[[1.0, 0.2, 0.0], [0.2, 2.0, 0.1], [0.0, 0.1, 1.0]],
            state_cov=[[0.5]],
            obs_intercept=[1e6, 0.0, 3.0],
        ),
        CASES["noise that its neighbours tell of"]()[1],
    ),
}


@pytest.mark.parametrize("name", DENSE)
def test_what_a_difference_of_series_moves_the_states_by_is_exact(name: str) -> None:
    model, y = DENSE[name]()
    y = y.reshape(len(y), model.observed)
    other = y + np.random.default_rng(1).normal(size=y.shape) * 2
    answer = shared_means(model, np.stack([y - other, 3 * (other - y)]))
    assert answer.determined
    assert answer.finite.all()
    moved = dense(model, y) - dense(model, other)
    size = max(1.0, np.abs(moved).max())
    np.testing.assert_allclose(answer.means[0], moved, rtol=0, atol=1e-9 * size)
    np.testing.assert_allclose(answer.means[1], -3 * moved, rtol=0, atol=3e-9 * size)


@pytest.mark.parametrize("name", [name for name in DENSE if name != "no observation at all"])
def test_draws_moved_by_these_weights_have_the_conditional_covariance(name: str) -> None:
    """No draw is random here: x⁺ - E[x | y⁺] is linear in (x⁺, y⁺), and its covariance follows from the weights."""
    model, y = DENSE[name]()
    y = y.reshape(len(y), model.observed)
    periods, n = len(y), model.states
    there = np.flatnonzero(~np.isnan(y.reshape(-1)))
    units = np.full((len(there), y.size), NAN)
    units[:, there] = np.eye(len(there))
    weights = shared_means(model, units.reshape(-1, *y.shape)).means.reshape(len(there), periods * n).T
    joint = Joint(model, y)
    states = joint.states_cov[:-1, :, :-1].reshape(periods * n, periods * n)
    cross = joint.cross[:-1].reshape(periods * n, -1)[:, there]
    moved = weights @ cross.T
    cov = states - moved - moved.T + weights @ joint.obs_joint[np.ix_(there, there)] @ weights.T
    exact = given(model, y)[1][: periods * n, : periods * n]
    np.testing.assert_allclose(cov, exact, rtol=0, atol=1e-8 * max(1.0, np.abs(states).max()))


@pytest.mark.parametrize(("model", "periods"), [(NILE, 300), (TREND, 150), (BASIC, 144), (REGRESSION, 30)])
def test_each_series_has_the_mean_that_the_smoother_gives_it(model: Model, periods: int) -> None:
    y = many(model, periods, 40, gaps=(3, 10, 11, 29))
    answer = shared_means(model, y)
    smoothed = smooth_batch([(each, model) for each in y]).series
    for means, alone in zip(answer.means, smoothed, strict=True):
        assert alone.smoothed is not None
        np.testing.assert_allclose(means, alone.smoothed.smoothed_state, rtol=1e-9, atol=1e-9)


def test_a_series_has_the_same_mean_alone_and_among_a_thousand() -> None:
    y = many(airline(12), 60, 1000)
    among = shared_means(airline(12), y).means
    for number in (0, 400, 999):
        alone = shared_means(airline(12), y[number : number + 1]).means[0]
        np.testing.assert_allclose(among[number], alone, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize(("model", "gaps"), [(BASIC, tuple(range(4, 270))), (airline(12), (3,)), (REGRESSION, ())])
def test_pieces_of_time_computed_once_more_change_nothing(
    monkeypatch: pytest.MonkeyPatch, model: Model, gaps: tuple[int, ...]
) -> None:
    """The first model is diffuse across the pieces' border."""
    y = many(model, 30 if model is REGRESSION else 600, gaps=gaps)
    whole = shared_means(model, y).means
    monkeypatch.setattr(module, "PIECE_NUMBERS", 1)
    monkeypatch.setattr(module, "KEPT_NUMBERS", 0)
    np.testing.assert_allclose(shared_means(model, y).means, whole, rtol=1e-9, atol=1e-9)


def test_matrices_that_vary_are_taken_up_where_a_piece_begins(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    model = Model(
        transition=rng.normal(size=(300, 2, 2)) / 2,
        design=rng.normal(size=(300, 1, 2)),
        obs_cov=rng.uniform(0.5, 2.0, size=(300, 1, 1)),
        state_cov=np.eye(2),
    )
    y = many(model, 300)
    whole = shared_means(model, y).means
    monkeypatch.setattr(module, "PIECE_NUMBERS", 1)
    np.testing.assert_allclose(shared_means(model, y).means, whole, rtol=1e-9, atol=1e-9)


def test_a_state_that_no_observation_tells_has_no_mean() -> None:
    answer = shared_means(TREND, np.array([[[NAN], [5.0], [NAN]]]))
    assert not answer.determined
    assert np.isnan(answer.means).all()


def test_one_series_that_overflows_spoils_no_other() -> None:
    answer = shared_means(NILE, np.array([[[1e308], [-1e308], [1e308]], [[1.0], [2.0], [3.0]]]))
    assert answer.finite.tolist() == [False, True]
    assert np.isfinite(answer.means[1]).all()


def test_no_period_has_no_mean() -> None:
    model = KINDS["arima"](order=[1, 0, 0], ar=[0.5], var=1.0, initial=None)
    assert shared_means(model, np.empty((4, 0, 1))).means.shape == (4, 0, model.states)


@pytest.mark.parametrize("looks", [0, 1, 2, 3, 4, 5])
def test_it_stops_between_steps_when_its_time_is_over(monkeypatch: pytest.MonkeyPatch, looks: int) -> None:
    monkeypatch.setattr(module, "CHECK_EVERY", 1)
    left = iter(range(looks))

    with pytest.raises(OutOfTime):
        shared_means(TREND, many(TREND, 8), lambda: next(left, None) is None)
    assert next(left, None) is None


def test_gaps_at_both_ends_are_smoothed_as_gaps() -> None:
    y = np.stack([GAPS, GAPS * 2 + 1])[:, :, None]
    answer = shared_means(TREND, y)
    for means, series in zip(answer.means, y, strict=True):
        np.testing.assert_allclose(means, dense(TREND, series[:, 0]), rtol=1e-9, atol=1e-9)


def test_the_weights_of_varying_matrices_do_not_need_intercepts() -> None:
    y = many(varying(), 7)
    np.testing.assert_allclose(shared_means(varying(), 2 * y).means, 2 * shared_means(varying(), y).means, atol=1e-10)
