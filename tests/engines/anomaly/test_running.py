"""States: what moves them, what does not, and how they travel."""

import json
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luna_serving.engines.anomaly import api

from .simulated import DAY, MINUTE, WEEK, batch, times


@pytest.fixture(scope="module")
def learnt():
    """Models and states of three series after a week, and their next day."""
    rng = np.random.default_rng(21)
    stamps = times(WEEK + DAY)
    values = np.concatenate([batch(kind, rng, stamps, 1) for kind in ("season", "level", "trend")], axis=1)
    models, states = api.learn([(stamps[:WEEK], column[:WEEK]) for column in values.T])
    return models, states, stamps[WEEK:], values[WEEK:].T


def test_models_and_states_travel_as_json(learnt):
    models, states, stamps, values = learnt
    text = json.dumps([models.values(), states.values()], allow_nan=False)
    assert len(text) / 3 < 2500
    again = json.loads(text)
    samples = [(stamps, column) for column in values]
    ours, _, _ = api.advance(models, states, samples)
    theirs, _, _ = api.advance(api.models_of(again[0]), api.states_of(again[1]), samples)
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(api.thresholds(models, 1)[0], api.thresholds(api.models_of(again[0]), 1)[0])


def test_another_format_is_refused(learnt):
    models, states, _, _ = learnt
    with pytest.raises(ValueError, match="learn it again"):
        api.models_of([models.values()[0] | {"format": 0}])
    with pytest.raises(ValueError, match="learn it again"):
        api.states_of([states.values()[0] | {"format": 99}])


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.lists(st.integers(0, 300), max_size=6))
def test_scores_do_not_depend_on_how_samples_are_split(learnt, cuts):
    models, states, stamps, values = learnt
    stamps, values = stamps[:300], values[:, :300]
    whole, _, end = api.advance(models, states, [(stamps, column) for column in values])
    edges = [0, *sorted(cuts), 300]
    parts = []
    for low, high in pairwise(edges):
        scores, _, states = api.advance(models, states, [(stamps[low:high], column[low:high]) for column in values])
        parts.append(np.array(scores).reshape(3, -1))
    np.testing.assert_allclose(np.concatenate(parts, axis=1), whole, rtol=1e-9, atol=1e-9)
    assert states.values() == end.values() or len(edges) > 2
    np.testing.assert_array_equal(states.time, end.time)


def test_samples_sent_twice_or_late_change_nothing(learnt):
    models, states, stamps, values = learnt
    samples = [(stamps[:100], column[:100]) for column in values]
    _, _, once = api.advance(models, states, samples)
    scores, _, twice = api.advance(models, once, samples)
    assert np.isnan(scores).all()
    assert twice.values() == once.values()


def test_series_of_different_length_are_those_of_each_alone(learnt):
    models, states, stamps, values = learnt
    samples = [(stamps[:n], column[:n]) for n, column in zip((40, 0, 7), values, strict=True)]
    together, _, _ = api.advance(models, states, samples)
    assert [len(scores) for scores in together] == [40, 0, 7]
    for i, one in enumerate(samples):
        lane = np.array([i])
        (alone,), _, _ = api.advance(models.chosen(lane), states.chosen(lane), [one])
        np.testing.assert_allclose(together[i], alone, rtol=1e-12)


def test_an_outlier_moves_the_state_no_further_than_three_deviations(learnt):
    models, states, stamps, values = learnt
    outlier = values[:, :1].copy() + 1e6
    limit = values[:, :1] + 3.5 * models.scale[:, None] * 3
    _, _, far = api.advance(models, states, [(stamps[:1], column) for column in outlier])
    _, _, near = api.advance(models, states, [(stamps[:1], column) for column in limit])
    np.testing.assert_allclose(far.filtered.level, near.filtered.level, rtol=1e-12)


def test_a_level_shift_scores_until_it_is_accepted_after_an_hour(learnt):
    models, states, stamps, values = learnt
    shifted = values[:1, :200] + 8 * models.scale[0]
    lane = np.array([0])
    (scores,), _, _ = api.advance(models.chosen(lane), states.chosen(lane), [(stamps[:200], shifted[0])])
    assert models.patience[0] == 60
    assert (scores[:59] > 4.5).all()
    assert np.abs(scores[61:]).mean() < 1.5


def test_a_gap_widens_the_band_and_the_series_goes_on(learnt):
    models, states, stamps, values = learnt
    lane = np.array([1])
    gap = np.concatenate([stamps[:10], stamps[400:500]])
    with_gap = np.concatenate([values[1, :10], values[1, 400:500]])
    missing = values[1, :500].copy()
    missing[10:400] = np.nan
    one, _, one_end = api.advance(models.chosen(lane), states.chosen(lane), [(gap, with_gap)])
    other, _, other_end = api.advance(models.chosen(lane), states.chosen(lane), [(stamps[:500], missing)])
    np.testing.assert_allclose(one[0], other[0][np.isfinite(missing)], rtol=1e-9, atol=1e-9)
    assert np.abs(one[0]).max() < 5
    np.testing.assert_allclose(one_end.filtered.p11, other_end.filtered.p11, rtol=1e-9)


def test_infinite_values_are_missing(learnt):
    models, states, stamps, values = learnt
    broken = values[:, :50].copy()
    broken[:, 20] = np.inf
    scores, _, after = api.advance(models, states, [(stamps[:50], column) for column in broken])
    assert np.isnan(np.array(scores)[:, 20]).all()
    assert np.isfinite(after.filtered.level).all()


def test_timestamps_must_ascend(learnt):
    models, states, stamps, values = learnt
    with pytest.raises(ValueError, match="do not ascend"):
        api.advance(models, states, [(stamps[:5][::-1], column[:5]) for column in values])
    with pytest.raises(ValueError, match="5 timestamps and 4 values"):
        api.advance(models, states, [(stamps[:5], column[:4]) for column in values])


def test_learning_needs_thirty_samples():
    few = (times(29, MINUTE), np.arange(29.0))
    models, states = api.learn([few, (times(0), np.zeros(0))])
    assert not models.learnt.any()
    assert np.isnan(api.thresholds(models, 1)[0]).all()
    scores, _, _ = api.advance(models, states, [(times(5), np.ones(5)), (times(5), np.ones(5))])
    assert np.isnan(np.array(scores)).all()
