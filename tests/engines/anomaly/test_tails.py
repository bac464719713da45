"""Quantiles of scores that noise exceeds, from samples of known distributions."""

import numpy as np
import pytest
from scipy import stats

from luna_serving.engines.anomaly import tails
from luna_serving.engines.anomaly.extremes import intervals_estimator

SAMPLES, SERIES = 10_080, 60


def fitted(draw, series: int = SERIES, samples: int = SAMPLES) -> tails.Tails:
    rng = np.random.default_rng(11)
    return tails.fit([draw(rng, samples) for _ in range(series)], np.zeros(series))


@pytest.mark.parametrize("probability", [1e-4, 1 / 43_830])
@pytest.mark.parametrize("degrees", [3, 5, 10, np.inf])
def test_the_mean_probability_beyond_the_quantile_is_the_one_asked_for(degrees, probability):
    truth = stats.norm() if np.isinf(degrees) else stats.t(degrees)
    found = fitted(lambda rng, n: truth.rvs(n, random_state=rng))
    score = found.score_exceeded_with(np.full(SERIES, probability))
    assert (2 * truth.sf(score)).mean() == pytest.approx(probability, rel=0.2)


def test_the_quantile_is_the_inverse_of_the_probability():
    found = fitted(lambda rng, n: rng.standard_t(4, n), series=5)
    asked = np.full(5, 3e-5)
    np.testing.assert_allclose(found.exceeded(found.score_exceeded_with(asked)), asked, rtol=1e-9)


def test_a_short_history_asks_for_more():
    few = fitted(lambda rng, n: rng.standard_normal(n), samples=60)
    many = fitted(lambda rng, n: rng.standard_normal(n))
    rare = np.full(SERIES, 1e-4)
    assert np.median(few.score_exceeded_with(rare)) > np.median(many.score_exceeded_with(rare)) + 0.5


def test_peaks_replace_a_tail_that_no_student_t_has():
    """Normal noise with a hundred bursts of exponential size: the body is normal, the tail is not."""

    def draw(rng, n):
        z = rng.standard_normal(n)
        at = rng.choice(n, n // 100, replace=False)
        z[at] = rng.choice([-1, 1], len(at)) * (4 + rng.exponential(1.5, len(at)))
        return z

    found = fitted(draw)
    assert np.isfinite(found.peaks[:, 0]).mean() > 0.5
    for probability in (1e-3, 1e-4):
        score = found.score_exceeded_with(np.full(SERIES, probability))
        truth = 4 + 1.5 * np.log(0.01 / probability)
        assert np.median(score) == pytest.approx(truth, rel=0.1)


def test_a_few_anomalies_of_a_history_do_not_count():
    clean = fitted(lambda rng, n: rng.standard_normal(n), series=20)

    def disturbed(rng, n):
        z = rng.standard_normal(n)
        z[5000:5030] += 12
        z[[100, 7000]] = [-40, 25]
        return z

    found = fitted(disturbed, series=20)
    rare = np.full(20, 1 / 43_830)
    np.testing.assert_allclose(
        found.score_exceeded_with(rare).mean(), clean.score_exceeded_with(rare).mean(), rtol=0.02
    )


def test_the_extremal_index_of_a_moving_maximum_is_its_window():
    rng = np.random.default_rng(3)
    indices = []
    for _ in range(50):
        z = rng.pareto(2, 20_001)
        pairs = np.maximum(z[1:], z[:-1])
        indices.append(intervals_estimator(np.flatnonzero(pairs > np.quantile(pairs, 0.995))))
    assert np.mean(indices) == pytest.approx(0.5, abs=0.05)


def test_independent_scores_have_an_extremal_index_of_one():
    found = fitted(lambda rng, n: rng.standard_normal(n))
    assert (found.extremal_index == 1).mean() > 0.9
