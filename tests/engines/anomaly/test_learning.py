"""What is learnt of series with known truth."""

import numpy as np
import pytest

from luna_serving.engines.anomaly import api
from luna_serving.engines.anomaly.season import pattern

from .simulated import DAY, MINUTE, WEEK, batch, season, times


def learnt_of(values: np.ndarray, stamps: np.ndarray):
    return api.learn([(stamps, column) for column in values.T])[0]


def deviation(models) -> np.ndarray:
    """The standard deviation of one-step predictions of a long series of a local level."""
    q = models.q_level
    return models.scale * np.sqrt(1 + q / 2 + np.sqrt(q * q / 4 + q))


def test_a_daily_pattern_is_found_and_is_the_true_one():
    stamps = times(WEEK)
    models = learnt_of(batch("season", np.random.default_rng(1), stamps, 10), stamps)
    used = (models.daily != 0).sum(axis=1)
    assert (used >= 3).all()
    assert np.median(used) == 3
    grid = np.repeat(times(DAY)[:, None], 10, axis=1)
    found = pattern(grid, models.daily, models.weekly)
    np.testing.assert_allclose(found, np.repeat(3 * season(times(DAY))[:, None], 10, axis=1), atol=0.6)


@pytest.mark.parametrize("walk", [0.01, 0.1, 1.0])
def test_random_walks_have_no_pattern(walk):
    rng = np.random.default_rng(2)
    stamps = times(WEEK)
    values = np.cumsum(walk * rng.standard_normal((WEEK, 10)), axis=0) + rng.standard_normal((WEEK, 10))
    models = learnt_of(values, stamps)
    assert (models.daily != 0).any(axis=1).sum() <= 1


def test_a_weekly_pattern_is_found_in_four_weeks():
    rng = np.random.default_rng(3)
    stamps = times(28 * 96, 15 * MINUTE)
    weekend = (stamps // (DAY * MINUTE)) % 7 >= 5
    values = (season(stamps) * np.where(weekend, 0.3, 1.0) + rng.standard_normal(len(stamps)))[:, None]
    models, _ = api.learn([(stamps, values[:, 0])], most_scored=4000)
    assert (models.weekly != 0).any()
    assert models.scale[0] < 2.2


def test_level_and_trend_are_told_apart():
    rng = np.random.default_rng(4)
    stamps = times(3000)
    assert learnt_of(batch("trend", rng, stamps, 10), stamps).trend.all()
    assert not learnt_of(batch("none", rng, stamps, 10), stamps).trend.any()
    assert learnt_of(batch("level", rng, stamps, 10), stamps).trend.mean() <= 0.2


@pytest.mark.parametrize("kind", ["season", "level", "trend"])
def test_the_scale_is_that_of_the_noise(kind):
    stamps = times(WEEK)
    models = learnt_of(batch(kind, np.random.default_rng(5), stamps, 10), stamps)
    np.testing.assert_allclose(models.scale, 3, rtol=0.05)


def test_outliers_of_the_history_change_neither_model_nor_threshold():
    rng = np.random.default_rng(6)
    stamps = times(WEEK)
    clean = batch("season", rng, stamps, 10)
    dirty = clean.copy()
    dirty[rng.choice(WEEK, 4, replace=False)] += 500
    dirty[3000:3010] -= 60
    one, other = learnt_of(clean, stamps), learnt_of(dirty, stamps)
    # Level noise and observation noise trade places; what is compared is the deviation of predictions.
    np.testing.assert_allclose(deviation(other), deviation(one), rtol=0.02)
    np.testing.assert_allclose(api.thresholds(other, 0.25)[0], api.thresholds(one, 0.25)[0], rtol=0.05)
    np.testing.assert_allclose(abs(other.daily[:, :3]), abs(one.daily[:, :3]), rtol=0.05, atol=0.3)


def test_gaps_and_irregular_times_do_not_harm():
    rng = np.random.default_rng(7)
    stamps = times(WEEK) + rng.integers(0, 20_000, WEEK)
    kept = (rng.random(WEEK) > 0.2) & ~((np.arange(WEEK) > 4000) & (np.arange(WEEK) < 5500))
    values = batch("season", rng, stamps, 5)
    models = learnt_of(values[kept], stamps[kept])
    assert (models.daily != 0).any(axis=1).all()
    np.testing.assert_allclose(models.scale, 3, rtol=0.06)
    assert models.interval == pytest.approx(65_000, rel=0.1)


@pytest.mark.parametrize("offset", [0.0, 1e9, -1e12])
@pytest.mark.parametrize("factor", [1.0, 1e-9, 1e12])
def test_scores_do_not_depend_on_units(offset, factor):
    """Beside an offset of 1e12 a value keeps four digits after the point."""
    rng = np.random.default_rng(8)
    stamps = times(2000)
    values = rng.standard_normal(2000)
    if offset:
        values = np.round(values, 3)
    plain, state = api.learn([(stamps[:1500], values[:1500])])
    (one,), _, _ = api.advance(plain, state, [(stamps[1500:], values[1500:])])
    moved = values * factor + offset * factor
    other_model, other_state = api.learn([(stamps[:1500], moved[:1500])])
    (other,), _, _ = api.advance(other_model, other_state, [(stamps[1500:], moved[1500:])])
    np.testing.assert_allclose(other, one, rtol=1e-3, atol=1e-2)


def test_a_constant_series_alarms_at_any_change():
    stamps = times(500)
    models, states = api.learn([(stamps[:400], np.ones(400)), (stamps[:400], np.zeros(400))])
    changed = np.ones(100)
    changed[50:] = 0
    scores, _, _ = api.advance(models, states, [(stamps[400:], changed), (stamps[400:], 1 - changed)])
    limits = api.thresholds(models, 1)[0]
    assert np.isfinite(limits).all()
    for score, limit in zip(scores, limits, strict=True):
        assert np.abs(score[:50]).max() < limit < np.abs(score[50])


def test_counts_that_are_mostly_zero_have_finite_thresholds():
    rng = np.random.default_rng(9)
    stamps = times(WEEK)
    models, states = api.learn([(stamps, rng.poisson(0.05, WEEK).astype(float))])
    assert np.isfinite(api.thresholds(models, 1)[0]).all()
    (scores,), _, _ = api.advance(models, states, [(times(100, start=int(stamps[-1]) + MINUTE), np.zeros(100))])
    assert np.abs(scores).max() < api.thresholds(models, 1)[0][0]


def test_a_threshold_needs_a_positive_rate():
    stamps = times(100)
    models, _ = api.learn([(stamps, np.random.default_rng(0).standard_normal(100))])
    with pytest.raises(ValueError, match="must be positive"):
        api.thresholds(models, 0)[0]
    assert api.thresholds(models, 1)[0][0] < api.thresholds(models, 0.1)[0][0]
