"""Sums of clipped normal scores: how often noise makes them large, and what they find."""

import numpy as np
import pytest
from scipy import stats

from luna_serving.engines.anomaly import shifts, tails
from luna_serving.engines.anomaly.shifts import Sums

GRID = 100


def tails_of(degrees: float, series: int = 1, samples: int = 20_000) -> tails.Tails:
    rng = np.random.default_rng(12)
    draw = rng.standard_normal if np.isinf(degrees) else lambda n: rng.standard_t(degrees, n)
    return tails.fit([draw(samples) for _ in range(series)], np.zeros(series))


def stationary_crossings(levels: np.ndarray) -> np.ndarray:
    """How often per sample one side's sum rises beyond the levels: the Markov chain of Brook and Evans on a grid."""
    low = round((shifts.CLIP + shifts.REFERENCE) * GRID)
    steps = np.arange(-low, round((shifts.CLIP - shifts.REFERENCE) * GRID) + 1) / GRID + shifts.REFERENCE
    chance = stats.norm.cdf(steps + 0.5 / GRID) - stats.norm.cdf(steps - 0.5 / GRID)
    chance[0], chance[-1] = stats.norm.cdf(steps[0] + 0.5 / GRID), stats.norm.sf(steps[-1] - 0.5 / GRID)
    count = round(shifts.MOST * GRID) + 1
    state = np.zeros(count)
    state[0] = 1
    for _ in range(200):
        after = np.convolve(state, chance)
        state = after[low : low + count].copy()
        state[0] += after[:low].sum()
        state[-1] += after[low + count :].sum()
    beyond = np.append(np.cumsum(chance[::-1])[::-1], 0.0)
    result = []
    for level in np.round(levels * GRID).astype(int):
        need = np.minimum(level - np.arange(level + 1) + 1 + low, len(chance))
        result.append((state[: level + 1] * beyond[need]).sum())
    return np.array(result)


def test_the_table_is_that_of_the_markov_chain():
    levels = np.arange(1, 10, 1.0)
    np.testing.assert_allclose(shifts.crossings(levels), 2 * stationary_crossings(levels), rtol=0.04)


@pytest.mark.parametrize("degrees", [3, 5, 30, np.inf])
def test_normal_scores_are_as_rare_as_scores(degrees):
    truth = stats.norm() if np.isinf(degrees) else stats.t(degrees)
    size = np.linspace(0.1, 8, 60)
    found = shifts.normal_scores(tails_of(degrees), -size[:, None])[:, 0]
    exact = np.minimum(stats.norm.isf(truth.sf(size)), shifts.CLIP)
    np.testing.assert_allclose(-found, exact, rtol=0.04)


@pytest.mark.parametrize("degrees", [3, np.inf])
def test_noise_makes_sums_as_often_as_the_table_says(degrees):
    rng = np.random.default_rng(13)
    shape = (20_000, 50)
    noise = rng.standard_normal(shape) if np.isinf(degrees) else rng.standard_t(degrees, shape)
    nothing = np.zeros(50)
    sums, _ = shifts.follow(tails_of(degrees, 50), noise, Sums(nothing, nothing))
    for level in (2.5, 4.0):
        over = sums > level
        under = sums < -level
        started = sum((one[1:] & ~one[:-1]).sum() for one in (over, under))
        assert started / sums.size == pytest.approx(float(shifts.crossings(np.array(level))), rel=0.15)


def test_sums_are_those_of_the_recursion_however_the_rows_are_split():
    rng = np.random.default_rng(14)
    scores = rng.standard_t(3, (400, 3))
    scores[100:130, 0] += 9
    scores[200:202, 1] = 1e9
    scores[300:310] = np.nan
    law = tails_of(3, 3)
    nothing = Sums(np.zeros(3), np.zeros(3))
    whole, after = shifts.follow(law, scores, nothing)
    first, middle = shifts.follow(law, scores[:115], nothing)
    second, end = shifts.follow(law, scores[115:], middle)
    np.testing.assert_allclose(np.concatenate([first, second]), whole, atol=1e-9)
    np.testing.assert_allclose(end.rise, after.rise, atol=1e-9)
    rise, fall = np.zeros(3), np.zeros(3)
    normal = shifts.normal_scores(law, scores)
    for row, step in enumerate(normal):
        if np.isfinite(scores[row, 0]):
            rise = np.clip(rise + step - 1, 0, 10)
            fall = np.clip(fall - step - 1, 0, 10)
        np.testing.assert_allclose(np.abs(whole[row]), np.maximum(rise, fall), atol=1e-9)
    assert np.abs(whole[200:202, 1]).max() < 5, "two samples are no shift, however large"
    assert whole[129, 0] == pytest.approx(10)
    assert whole[145, 0] < 5, "ten samples after a shift there is no more evidence"
