"""PromQL's functions: no look-ahead, the same answers wherever a query starts, and what they mean."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from luna_serving.engines.anomaly import api

from .simulated import DAY, MINUTE, START, season, times

FIVE = 5 * MINUTE


MEMORY = api.Memory()
"""Keyed by histories, so it cannot hide that a value depends on another one."""


def functions():
    return {
        "score": lambda series, steps: api.score(series, steps, memory=MEMORY),
        "band": lambda series, steps: api.band(series, steps, 0.99, memory=MEMORY),
        "forecast": lambda series, steps: api.forecast(series, steps, 3600, memory=MEMORY),
        "crossing": lambda series, steps: api.probability_of_crossing(series, steps, 38.0, 3600, memory=MEMORY),
    }


@pytest.fixture(scope="module")
def series():
    """Nine days every five minutes, of which the second begins in the last day, and the third has gaps."""
    rng = np.random.default_rng(31)
    stamps = times(9 * DAY // 5, FIVE)
    values = 30 + season(stamps) / 3 + rng.standard_normal(len(stamps))
    young = slice(8 * DAY // 5 + 30, None)
    gappy = rng.random(len(stamps)) > 0.3
    gappy[-60:-20] = False
    return [(stamps, values), (stamps[young], values[young]), (stamps[gappy], values[gappy])]


@pytest.fixture(scope="module")
def steps():
    return START + (8 * DAY - 60) * MINUTE + np.arange(0, DAY, 37) * MINUTE + 2000


@pytest.fixture(scope="module")
def whole(series, steps):
    return {name: function(series, steps) for name, function in functions().items()}


@settings(max_examples=4, deadline=None, derandomize=True)
@given(st.integers(0, 38), st.sampled_from(["score", "band", "forecast", "crossing"]))
def test_a_value_depends_on_samples_up_to_its_step_only(series, steps, whole, last, name):
    known = []
    rng = np.random.default_rng(last)
    for stamps, values in series:
        future = stamps > steps[last]
        known.append((stamps, np.where(future, rng.standard_normal(len(stamps)) * 1e3, values)))
    np.testing.assert_array_equal(functions()[name](known, steps)[:, : last + 1], whole[name][:, : last + 1])


@pytest.mark.parametrize("name", ["score", "band", "forecast", "crossing"])
def test_a_value_does_not_depend_on_where_the_query_starts(series, steps, whole, name):
    later = steps[25:28]
    first = api.history_start(int(later[0]))
    needed = [(stamps[stamps >= first], values[stamps >= first]) for stamps, values in series]
    np.testing.assert_allclose(functions()[name](needed, later), whole[name][:, 25:28], rtol=1e-9, atol=1e-9)


def test_old_and_young_series_have_values_and_missing_ones_none(whole):
    present = {name: np.isfinite(values) for name, values in whole.items()}
    assert present["score"][0].all()
    # Thirty samples, then the next full hour.
    assert 10 < present["score"][1].sum() < 36
    assert not present["score"][2].all()
    assert present["band"][2].sum() > present["score"][2].sum()
    # No sample for an hour: no forecast.
    assert not present["forecast"][2].all()


def test_a_sample_is_outside_the_band_as_often_as_the_quantiles_say():
    rng = np.random.default_rng(32)
    stamps = times(8 * DAY)
    values = 30 + season(stamps) + rng.standard_normal(len(stamps))
    steps = stamps[7 * DAY :]
    low, high = (api.band([(stamps, values)], steps, q)[0] for q in (0.05, 0.95))
    now = values[7 * DAY :]
    assert (now > high).mean() == pytest.approx(0.05, abs=0.02)
    assert (now < low).mean() == pytest.approx(0.05, abs=0.02)


def test_the_band_is_where_the_score_is_the_quantile(series, steps):
    middle, high = (api.band(series[:1], steps, q)[0] for q in (0.5, 0.8413447))
    score = api.score(series[:1], steps)[0]
    row = np.searchsorted(series[0][0], steps, side="right") - 1
    np.testing.assert_allclose((series[0][1][row] - middle) / (high - middle), score, rtol=0.03, atol=0.01)


def test_a_gap_widens_the_band():
    rng = np.random.default_rng(33)
    stamps = times(8 * DAY - 60)
    values = np.cumsum(rng.standard_normal(len(stamps)))
    steps = stamps[-1] + np.arange(1, 70, 6) * MINUTE
    low, high = (api.band([(stamps, values)], steps, q)[0] for q in (0.05, 0.95))
    width = high - low
    assert (np.diff(width[:10]) >= 0).all()
    assert width[9] > 3 * width[0]
    assert np.isnan(width[10:]).all()


def test_forecasts_follow_pattern_and_trend():
    rng = np.random.default_rng(34)
    stamps = times(8 * DAY)
    truth = season(stamps) + 0.002 * np.arange(len(stamps))
    values = truth + rng.standard_normal(len(stamps))
    steps = stamps[7 * DAY : 8 * DAY - 120 : 30]
    found = api.forecast([(stamps, values)], steps, 7200)[0]
    np.testing.assert_allclose(found, truth[7 * DAY + 120 :: 30][: len(found)], atol=1.5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s, t: api.band(s, t, 1.0), "between 0 and 1"),
        (lambda s, t: api.band(s, t, np.nan), "between 0 and 1"),
        (lambda s, t: api.forecast(s, t, -1), "luna_forecast must be a finite number"),
        (lambda s, t: api.probability_of_crossing(s, t, 1, np.inf), "luna_prob_cross must be a finite number"),
    ],
)
def test_arguments_out_of_range_are_refused(series, steps, call, message):
    with pytest.raises(ValueError, match=message):
        call(series, steps)


def test_no_series_are_no_values(steps):
    assert api.score([], steps).shape == (0, len(steps))
    assert np.isnan(api.score([(times(0), np.zeros(0))], steps)).all()


def test_the_check_can_end_a_computation(series, steps):
    def refuse():
        raise TimeoutError

    with pytest.raises(TimeoutError):
        api.score(series, steps, refuse)


def test_a_memory_changes_no_answer_and_forgets_the_oldest(series, steps, whole):
    memory = api.Memory(most=2)
    some = slice(25, 29)
    for _ in range(2):
        np.testing.assert_allclose(
            api.score(series, steps[some], memory=memory), whole["score"][:, some], rtol=1e-9, atol=1e-9
        )
    stamps, values = series[0]
    changed = [(stamps, np.where(stamps == stamps[100], values + 50, values))]
    band = api.band(changed, steps[some], 0.9, memory=memory)
    np.testing.assert_array_equal(band, api.band(changed, steps[some], 0.9))
