"""Alarms: what the history and the caution do to their number."""

import numpy as np
import pytest

from luna_serving.engines.anomaly import api
from luna_serving.engines.anomaly.alarms import LEAST

from .simulated import MINUTE, WEEK, batch, times

CALM = api.Caution()


@pytest.fixture(scope="module")
def learnt():
    """A model of a week, and its state."""
    stamps = times(WEEK)
    values = batch("none", np.random.default_rng(41), stamps, 1)
    return api.learn([(stamps, values[:, 0])])


def judged(models, scores, caution=CALM, start=WEEK, rate=1.0, sums=None):
    stamps = times(len(scores), start=int(times(1)[0]) + start * MINUTE)
    sums = np.zeros(len(scores)) if sums is None else sums
    (found,), (after,) = api.alarms(models, rate, [stamps], [scores], [sums], [caution])
    return found, after


def test_an_alarm_is_what_exceeds_a_threshold(learnt):
    models, _ = learnt
    (score,), (total,) = api.thresholds(models, 1.0)
    for factor, expected in ((0.999, False), (1.001, True)):
        assert judged(models, np.array([0.0, factor * score, 0.0]))[0].tolist() == [False, expected, False]
        found, _ = judged(models, np.zeros(3), sums=np.array([0.0, -total - factor + 1, 0.0]))
        assert found.tolist() == [False, expected, False]


def test_each_alarm_makes_the_next_one_harder_until_the_time_of_one_has_passed(learnt):
    models, _ = learnt
    (score,), _ = api.thresholds(models, 1.0)
    once, after = judged(models, np.array([score * 1.01, 0.0]))
    assert once[0]
    assert after.size == pytest.approx(1, abs=1e-3)
    again, _ = judged(models, np.array([score * 1.2]), after, WEEK + 2)
    assert not again[0]
    later, _ = judged(models, np.array([score * 1.01]), after, 2 * WEEK + 2)
    assert later[0]


def test_samples_of_one_alarm_count_once(learnt):
    models, _ = learnt
    (score,), _ = api.thresholds(models, 1.0)
    one, after = judged(models, np.full(30, score * 1.01))
    assert one.all()
    assert after.size == pytest.approx(1, abs=0.01)
    assert after.alarm
    gap, _ = judged(models, np.array([np.nan, score * 1.01]), after, WEEK + 30)
    assert gap.tolist() == [False, True], "a missing sample ends no alarm"


def test_a_quiet_time_lowers_the_caution_to_its_least(learnt):
    models, _ = learnt
    _, after = judged(models, np.zeros(3 * WEEK))
    assert after.size == LEAST


def test_alarms_do_not_depend_on_how_samples_are_split(learnt):
    models, _ = learnt
    (score,), _ = api.thresholds(models, 10.0)
    scores = np.random.default_rng(42).standard_normal(2000)
    scores[[30, 31, 32, 400, 401, 1500]] = score * np.array([1.1, 1.3, 1.2, 1.5, 0.7, 2.0])
    scores[33:36] = np.nan
    whole, end = judged(models, scores, rate=10.0)
    for cut in (31, 34, 400, 401, 900):
        first, middle = judged(models, scores[:cut], rate=10.0)
        second, after = judged(models, scores[cut:], middle, WEEK + cut, rate=10.0)
        np.testing.assert_array_equal(np.concatenate([first, second]), whole)
        assert after.size == pytest.approx(end.size)
        assert after.alarm == end.alarm


def test_what_a_history_does_every_few_hours_is_no_alarm():
    """Bursts of five samples, which are neither a daily pattern nor anybody's distribution."""
    rng = np.random.default_rng(43)
    stamps = times(3 * WEEK)
    values = rng.standard_normal(len(stamps))
    for start in rng.choice(len(stamps) - 10, 300, replace=False):
        values[start : start + 5] += 40
    models, states = api.learn([(stamps[:WEEK], values[:WEEK])])
    scores, sums, _ = api.advance(models, states, [(stamps[WEEK:], values[WEEK:])])
    found, _ = api.alarms(models, 1.0, [stamps[WEEK:]], scores, sums, [CALM])
    started = int((np.diff(found[0].astype(int), prepend=0) > 0).sum())
    assert started <= 6
    assert np.abs(scores[0]).max() > 10


def test_noise_that_triples_is_an_alarm_a_few_times_only():
    """Caution brings the rate to the one asked for before the model is learnt again."""
    rng = np.random.default_rng(44)
    stamps = times(3 * WEEK)
    values = rng.standard_normal((20, len(stamps)))
    values[:, WEEK:] *= 3
    models, states = api.learn([(stamps[:WEEK], row[:WEEK]) for row in values])
    scores, sums, _ = api.advance(models, states, [(stamps[WEEK:], row[WEEK:]) for row in values])
    found, _ = api.alarms(models, 1.0, [stamps[WEEK:]] * 20, scores, sums, [CALM] * 20)
    per_series = [int((np.diff(one.astype(int), prepend=0) > 0).sum()) for one in found]
    plain = np.mean([np.count_nonzero(np.abs(one) > 4) for one in scores])
    assert plain > 1000
    assert np.mean(per_series) < 20
    last_day = [int((np.diff(one[-1440:].astype(int), prepend=0) > 0).sum()) for one in found]
    assert np.mean(last_day) < 0.5


def test_a_number_of_alarms_must_be_positive(learnt):
    models, _ = learnt
    with pytest.raises(ValueError, match="must be positive"):
        judged(models, np.zeros(3), rate=0.0)
