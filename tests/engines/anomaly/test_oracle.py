"""Scores are those of the state-space engine for the same model."""

import numpy as np
import pytest

from luna_serving.engines.anomaly.kalman import Filtered, Noise, filter_rows
from luna_serving.engines.anomaly.lanes import filter_lanes
from luna_serving.engines.statespace.api.compute import configure_jax, filter_batch
from luna_serving.engines.statespace.api.description import Known, Model

configure_jax()

LEVELS = [(1e-6, None), (0.03, None), (10.0, None), (1e-4, 1e-10), (0.01, 1e-4), (1.0, 0.1)]


def filtered(
    q_level: float, q_slope: float | None, gaps: np.ndarray, y: np.ndarray, clip: float = np.inf
) -> np.ndarray:
    """Our scores of y[1:], from the state that y[0] alone gives."""
    state = Filtered(
        level=np.array([y[0]]),
        slope=np.zeros(1),
        p11=np.ones(1),
        p12=np.zeros(1),
        p22=np.array([0.0 if q_slope is None else 1.0]),
        run=np.zeros(1, dtype=np.int64),
        run_level=np.zeros(1),
    )
    noise = Noise(np.array([q_level]), np.array([q_slope or 0.0]), clip, np.array([10**9]))
    (scores,) = filter_rows(gaps[:, None], y[1:, None], state, noise)
    return scores[:, 0]


def by_statespace(q_level: float, q_slope: float | None, y: np.ndarray) -> np.ndarray:
    """Scores of y[1:] on a regular grid; an integrated random walk in continuous time at steps of one."""
    if q_slope is None:
        transition, cov = np.eye(1), np.array([[q_level]])
        start = Known(np.array([y[0]]), np.eye(1), "filtered")
    else:
        transition = np.array([[1.0, 1.0], [0.0, 1.0]])
        cov = np.array([[q_level + q_slope / 3, q_slope / 2], [q_slope / 2, q_slope]])
        start = Known(np.array([y[0], 0.0]), np.eye(2), "filtered")
    design = np.eye(len(transition))[:1]
    model = Model(transition=transition, design=design, obs_cov=np.eye(1), state_cov=cov, initial=start)
    (result,) = filter_batch([(y[1:], model)], "full").series
    full = result.full
    return np.asarray(full.forecast_error).ravel() / np.sqrt(np.asarray(full.forecast_error_cov).ravel())


@pytest.mark.parametrize(("q_level", "q_slope"), LEVELS)
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_scores_equal_those_of_the_state_space_engine(q_level, q_slope, missing):
    rng = np.random.default_rng(5)
    y = np.cumsum(rng.standard_normal(800)) + rng.standard_normal(800)
    y[1:][rng.random(799) < missing] = np.nan
    ours = filtered(q_level, q_slope, np.ones(799), y)
    theirs = by_statespace(q_level, q_slope, y)
    assert (np.isnan(ours) == np.isnan(y[1:])).all()
    kept = np.isfinite(ours)
    np.testing.assert_allclose(ours[kept], theirs[kept], rtol=1e-9, atol=1e-9 * np.abs(theirs[kept]).max())


@pytest.mark.parametrize(("q_level", "q_slope"), LEVELS)
def test_a_gap_is_the_same_as_missing_samples(q_level, q_slope):
    rng = np.random.default_rng(6)
    y = np.cumsum(rng.standard_normal(500))
    y[1:][rng.random(499) < 0.5] = np.nan
    on_grid = filtered(q_level, q_slope, np.ones(499), y)
    seen = np.flatnonzero(np.isfinite(y))
    over_gaps = filtered(q_level, q_slope, np.diff(seen).astype(float), y[seen])
    np.testing.assert_allclose(over_gaps, on_grid[np.isfinite(on_grid)], rtol=1e-9, atol=1e-9)


def test_the_clipped_filter_is_the_plain_one_while_nothing_is_far():
    y = np.random.default_rng(7).uniform(-1, 1, 500)
    plain = filtered(0.01, None, np.ones(499), y)
    assert np.abs(plain).max() < 3
    np.testing.assert_array_equal(filtered(0.01, None, np.ones(499), y, clip=3.0), plain)


def test_few_lanes_give_the_bits_of_many():
    rng = np.random.default_rng(9)
    rows, lanes = 600, 8
    values = rng.standard_t(2, (rows, lanes)) * 2
    values[rng.random(values.shape) < 0.1] = np.nan
    values[200:400] += 9
    gaps = rng.choice([1.0, 1.0, 2.5], values.shape)
    noise = Noise(np.geomspace(1e-5, 3, lanes), np.where(np.arange(lanes) % 2, 1e-4, 0.0), 3.0, np.full(lanes, 20))
    ends = []
    found = []
    for filtering in (filter_rows, filter_lanes):
        state = Filtered(
            level=np.zeros(lanes),
            slope=np.zeros(lanes),
            p11=np.ones(lanes),
            p12=np.zeros(lanes),
            p22=np.where(np.arange(lanes) % 2, 1.0, 0.0),
            run=np.zeros(lanes, dtype=np.int64),
            run_level=np.zeros(lanes),
        )
        trace = np.empty((rows, 5, lanes))
        found.append([*filtering(gaps, values, state, noise, moments=True, trace=trace), trace])
        ends.append(state)
    for one, other in zip(*found, strict=True):
        np.testing.assert_array_equal(one, other)
    for name in Filtered.__slots__:
        np.testing.assert_array_equal(getattr(ends[0], name), getattr(ends[1], name))
