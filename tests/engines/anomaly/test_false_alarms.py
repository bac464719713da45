"""False alarms per week on clean series are those that were asked for, and shifts are found."""

import numpy as np
import pytest

from luna_serving.engines.anomaly import api

from .simulated import WEEK, batch, times

MONTHLY = 7 / 30.4375
KINDS = [
    ("season", np.inf),
    ("none", np.inf),
    ("season level", np.inf),
    ("season trend", np.inf),
    ("season", 5.0),
    ("none", 3.0),
]
# The default run takes those that differ most.
FEW_KINDS = [KINDS[0], KINDS[3], KINDS[4]]


def alarms_per_week(kind: str, degrees: float, series: int, weeks: int, seed: int) -> dict[float, float]:
    """Mean number of alarms, after a week of learning, for each number asked for."""
    rng = np.random.default_rng(seed)
    stamps = times((weeks + 1) * WEEK)
    values = batch(kind, rng, stamps, series, degrees)
    models, states = api.learn([(stamps[:WEEK], column[:WEEK]) for column in values.T])
    assert models.learnt.all()
    scores, sums, _ = api.advance(models, states, [(stamps[WEEK:], column[WEEK:]) for column in values.T])
    found = {}
    for asked in (1.0, MONTHLY):
        nothing = [api.Caution()] * series
        alarm = np.stack(api.alarms(models, asked, [stamps[WEEK:]] * series, scores, sums, nothing)[0])
        started = alarm[:, 0].sum() + (alarm[:, 1:] & ~alarm[:, :-1]).sum()
        found[asked] = started / (series * weeks)
    return found


@pytest.mark.parametrize(("kind", "degrees"), FEW_KINDS)
def test_false_alarms_are_as_asked(kind, degrees):
    """300 weeks: the counts alone have a standard error of 6 % at one per week and 12 % at one per month."""
    found = alarms_per_week(kind, degrees, series=100, weeks=3, seed=1)
    assert found[1.0] == pytest.approx(1.0, rel=0.35)
    assert found[MONTHLY] == pytest.approx(MONTHLY, rel=0.55)


@pytest.mark.slow
@pytest.mark.timeout(3000)
@pytest.mark.parametrize(("kind", "degrees"), KINDS)
def test_false_alarms_of_ten_thousand_weeks_are_as_asked(kind, degrees):
    parts = [alarms_per_week(kind, degrees, series=100, weeks=10, seed=100 + i) for i in range(10)]
    for asked in (1.0, MONTHLY):
        assert np.mean([part[asked] for part in parts]) == pytest.approx(asked, rel=0.2)


@pytest.mark.parametrize(
    ("kind", "degrees", "at_once"), [("season trend", np.inf, 0.9), ("season", 5.0, 0.0), ("none", 3.0, 0.0)]
)
def test_a_shift_of_six_deviations_is_found_within_five_samples(kind, degrees, at_once):
    """In heavy-tailed noise by the sums alone: a single sample of six deviations happens every day."""
    # Of 200 series, where 98 % are found, the share has a standard error of 1 %.
    rng, count = np.random.default_rng(8), 200
    stamps = times(WEEK + 110)
    values = batch(kind, rng, stamps, count, degrees)
    values[WEEK + 100 :] += 6 * 3
    models, states = api.learn([(stamps[:WEEK], column[:WEEK]) for column in values.T])
    scores, sums, _ = api.advance(models, states, [(stamps[WEEK:], column[WEEK:]) for column in values.T])
    found, _ = api.alarms(models, MONTHLY, [stamps[WEEK:]] * count, scores, sums, [api.Caution()] * count)
    alarm = np.stack(found)
    assert alarm[:, 100:105].any(axis=1).mean() > 0.95
    assert alarm[:, 100].mean() >= at_once
    if degrees == np.inf:
        assert alarm[:, 100:105].any(axis=1).all()
