"""The smoother against published numbers, statsmodels, and what must not matter."""

import numpy as np
import pytest

from luna_serving.engines.statespace.batch import filter_batch, smooth_batch
from luna_serving.engines.statespace.kinds import local_level, local_linear_trend
from luna_serving.engines.statespace.model.initial import ApproximateDiffuse, Diffuse, Known
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.results.series import SeriesResult
from luna_serving.engines.statespace.running import passes
from luna_serving.engines.statespace.running.packing import Group, kind_of, pack_carry, pack_chunk

from . import exact
from .peer import statsmodels_smoother
from .test_invariances import assert_identical, mixed
from .test_statsmodels import GAPS, KINDS, STARTS, series
from .univariate import univariate

LEVEL = local_level(obs_var=1.0, level_var=0.5)
TREND = local_linear_trend(obs_var=1.0, level_var=0.5, trend_var=0.1)


def smooth(y, model: Model) -> SeriesResult:
    (result,) = smooth_batch([(np.asarray(y, dtype=np.float64), model)]).series
    return result


def assert_same(model: Model, y: np.ndarray, rtol: float) -> None:
    result, peer = smooth(y, model), statsmodels_smoother(model, y)
    assert result.finite
    assert not result.smoothed.smoothed_state_diffuse.any()
    means, covs = peer.smoothed_state.T, peer.smoothed_state_cov.transpose(2, 0, 1)
    np.testing.assert_allclose(
        result.smoothed.smoothed_state, means, rtol=rtol, atol=rtol * np.abs(means).max(), err_msg="mean"
    )
    # Without observation noise a smoothed variance is zero, up to the rounding of what was predicted.
    scale = max(np.abs(covs).max(), 1e-6 * np.abs(result.full.predicted_state_cov).max())
    np.testing.assert_allclose(result.smoothed.smoothed_state_cov, covs, rtol=rtol, atol=rtol * scale, err_msg="cov")


def assert_same_smoothed(one: SeriesResult, other: SeriesResult) -> None:
    for name in ("smoothed_state", "smoothed_state_cov", "smoothed_state_diffuse"):
        np.testing.assert_array_equal(getattr(one.smoothed, name), getattr(other.smoothed, name), err_msg=name)


def test_the_smoothed_nile_is_the_published_one(nile):
    smoothed = smooth(nile, local_level(obs_var=15099.0, level_var=1469.1)).smoothed
    assert smoothed.smoothed_state[0, 0] == pytest.approx(1111.668319, abs=5e-7)
    assert smoothed.smoothed_state[49, 0] == pytest.approx(834.763259, abs=5e-7)
    assert smoothed.smoothed_state_cov[49, 0, 0] == pytest.approx(2326.756870, abs=5e-7)


@pytest.mark.parametrize("gaps", GAPS)
@pytest.mark.parametrize("start", ["diffuse", "known"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_smoothed_moments_are_those_of_statsmodels(kind, start, gaps):
    states, build = KINDS[kind]
    assert_same(build(STARTS[start](states)), series(GAPS[gaps]), rtol=1e-8)


@pytest.mark.parametrize("gaps", [[36, 37, 38, 39], [0, 1, 20, 21, 39]], ids=["at the end", "everywhere"])
@pytest.mark.parametrize("kind", KINDS)
def test_gaps_at_the_end_are_smoothed_as_statsmodels_does(kind, gaps):
    _, build = KINDS[kind]
    assert_same(build(Diffuse()), series(gaps), rtol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_a_long_series_in_several_chunks_is_the_one_of_statsmodels(kind):
    _, build = KINDS[kind]
    assert_same(build(Diffuse()), series([0, 255, 256, 257, 511, *range(700, 760), 1299], 1300), rtol=1e-8)


@pytest.mark.parametrize("kept", [1, 2, 16])
def test_chunks_that_are_filtered_again_on_the_way_back_give_the_same_bits(kept, monkeypatch):
    """Also where the diffuse phase spans three chunks."""
    y = series([*range(600), 800], 1100)
    expected = smooth(y, TREND)
    monkeypatch.setattr(passes, "KEPT_CHUNKS", kept)
    again = smooth(y, TREND)
    assert_identical(again, expected)
    assert_same_smoothed(again, expected)


def assert_exact(model: Model, reference: Model, y: np.ndarray, rtol: float) -> None:
    smoothed, (means, covs) = smooth(y, model).smoothed, exact.smoothed(reference, y)
    np.testing.assert_allclose(smoothed.smoothed_state, means, rtol=rtol, atol=rtol * np.abs(means).max())
    np.testing.assert_allclose(smoothed.smoothed_state_cov, covs, rtol=rtol, atol=rtol * np.abs(covs).max())


@pytest.mark.parametrize("gaps", GAPS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_prior_far_wider_than_the_data_keeps_its_digits(kind, gaps):
    """Against exact fractions: statsmodels is up to 8e-3 off here, because what it subtracts cancels."""
    _, build = KINDS[kind]
    model = build(ApproximateDiffuse(1e6))
    assert_exact(model, model, series(GAPS[gaps])[:20], rtol=1e-8)
    model = build(ApproximateDiffuse(1e9))
    assert_exact(model, model, series(GAPS[gaps])[:20], rtol=1e-5)


def test_a_direction_that_is_barely_seen_at_the_end_of_the_diffuse_phase_keeps_its_digits():
    """The second observation leaves a variance of 2469; what is left of A after it is rounding, not a direction."""
    y = np.array([2.04, 0.42, -0.88, -2.78, 3.06, -7.05, 2.96, 2.13, 0.27, -6.64, 4.69, 1.71])
    parts = np.array([[-1.05, 0.31], [0.89, -0.86]]), np.array([-0.96, -0.64]), 1.0, np.diag([0.6889, 0.0])
    assert_exact(univariate(*parts, Diffuse()), univariate(*parts, Known(np.zeros(2), 1e60 * np.eye(2))), y, rtol=1e-8)


@pytest.mark.parametrize("kind", ["level", "trend", "track"])
def test_a_diffuse_phase_of_several_chunks_is_the_limit_of_ever_wider_priors(kind):
    """Against exact fractions: statsmodels takes the slope, seen late, for a state that is not diffuse."""
    states, build = KINDS[kind]
    y = series([*range(520), 522], 540)
    assert_exact(build(Diffuse()), build(Known(np.zeros(states), 1e60 * np.eye(states))), np.round(y, 3), rtol=1e-8)


@pytest.mark.parametrize("start", [Diffuse(), Known([1.0, 0.5], np.eye(2)), ApproximateDiffuse(1e6)])
def test_at_the_last_time_smoothed_is_filtered_and_the_rest_is_the_full_filter(start):
    items = [(y, model) for y, model in mixed(12) if len(y)]
    items.append((series([3]), local_linear_trend(obs_var=1.0, level_var=0.5, trend_var=0.1, initial=start)))
    for smoothed, filtered in zip(smooth_batch(items).series, filter_batch(items, "full").series, strict=True):
        if smoothed.plan == "multiprecision":
            # A wide prior costs the smoother more digits than float64 has; the filter keeps its own.
            np.testing.assert_allclose(smoothed.filtered_state, filtered.filtered_state, rtol=1e-9, atol=1e-9)
            np.testing.assert_allclose(smoothed.smoothed.smoothed_state[-1], smoothed.filtered_state[-1], rtol=1e-14)
            continue
        assert_identical(smoothed, filtered)
        np.testing.assert_array_equal(smoothed.smoothed.smoothed_state[-1], filtered.filtered_state[-1])
        np.testing.assert_array_equal(smoothed.smoothed.smoothed_state_cov[-1], filtered.full.filtered_state_cov[-1])


def test_a_batch_smooths_what_a_loop_over_its_series_does():
    """Not to the last bit: the filter steps that run while a neighbour is diffuse are another computation."""
    items = mixed(40)
    for item, result in zip(items, smooth_batch(items).series, strict=True):
        (alone,) = smooth_batch([item]).series
        for name in ("smoothed_state", "smoothed_state_cov"):
            ours, theirs = getattr(result.smoothed, name), getattr(alone.smoothed, name)
            np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10, err_msg=name)
        np.testing.assert_array_equal(result.smoothed.smoothed_state_diffuse, alone.smoothed.smoothed_state_diffuse)


def test_permuting_the_series_permutes_the_smoothed_answers():
    items = mixed(30, seed=1)
    order = np.random.default_rng(2).permutation(len(items))
    straight = smooth_batch(items).series
    for place, result in zip(order, smooth_batch([items[place] for place in order]).series, strict=True):
        assert_same_smoothed(result, straight[place])


@pytest.mark.parametrize("neighbour", ["overflowing", "all missing", "long", "huge"])
def test_a_neighbour_does_not_change_a_smoothed_answer_by_one_bit(neighbour):
    item = mixed(4, seed=4)[3]
    other = {
        "overflowing": (np.array([1e308, -1e308, 1e308]), LEVEL),
        "all missing": (np.full(250, np.nan), LEVEL),
        "long": (np.ones(700), LEVEL),
        "huge": (np.full(100, 1e150), LEVEL),
    }[neighbour]
    (alone,) = smooth_batch([item]).series
    assert_same_smoothed(smooth_batch([other, item, other]).series[1], alone)


def test_a_local_level_runs_the_same_in_both_directions_of_time():
    y = series(GAPS["inside"])
    straight, turned = smooth(y, LEVEL).smoothed, smooth(y[::-1], LEVEL).smoothed
    np.testing.assert_allclose(turned.smoothed_state[::-1], straight.smoothed_state, rtol=1e-12)
    np.testing.assert_allclose(turned.smoothed_state_cov[::-1], straight.smoothed_state_cov, rtol=1e-12)


def test_a_trend_without_noise_of_its_own_runs_the_same_in_both_directions_of_time():
    """Without a walk of the slope, time turned round is the same model with the slope's sign turned."""
    model = local_linear_trend(obs_var=2.0, level_var=0.7, trend_var=0.0)
    y = series(GAPS["at the start"])
    straight, turned = smooth(y, model).smoothed, smooth(y[::-1], model).smoothed
    np.testing.assert_allclose(turned.smoothed_state[::-1, 0], straight.smoothed_state[:, 0], rtol=1e-10)
    np.testing.assert_allclose(turned.smoothed_state[::-1, 1], -straight.smoothed_state[:, 1], rtol=1e-10)


def test_without_state_noise_every_smoothed_state_lies_on_the_regression_line():
    y = np.random.default_rng(2).normal(size=80) + np.arange(80.0)
    line = smooth(y, local_linear_trend(obs_var=3.0, level_var=0.0, trend_var=0.0)).smoothed.smoothed_state
    slope, intercept = np.polyfit(np.arange(80.0), y, 1)
    np.testing.assert_allclose(line[:, 0], intercept + slope * np.arange(80), rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(line[:, 1], slope, rtol=1e-9)


def test_without_observation_noise_the_smoothed_level_is_the_observation():
    y = np.random.default_rng(1).normal(size=50)
    for model in (
        local_level(obs_var=0.0, level_var=2.0),
        local_linear_trend(obs_var=0.0, level_var=0.5, trend_var=0.1),
        local_linear_trend(obs_var=0.0, level_var=0.0, trend_var=0.1),
    ):
        result = smooth(y, model)
        assert result.finite
        np.testing.assert_allclose(result.smoothed.smoothed_state[:, 0], y, rtol=1e-11)


@pytest.mark.parametrize("model", [LEVEL, TREND], ids=["level", "trend"])
@pytest.mark.parametrize("length", [0, 1, 30, 300])
def test_a_series_without_an_observation_is_diffuse_throughout(model, length):
    result = smooth(np.full(length, np.nan), model)
    assert result.finite
    assert result.smoothed.smoothed_state.shape == (length, model.states)
    assert result.smoothed.smoothed_state_cov.shape == (length, model.states, model.states)
    assert result.smoothed.smoothed_state_diffuse.all()


def test_without_an_observation_a_known_start_is_what_was_predicted():
    model = local_linear_trend(obs_var=1.0, level_var=0.5, trend_var=0.1, initial=Known([1.0, 2.0], np.eye(2)))
    result = smooth(np.full(20, np.nan), model)
    np.testing.assert_array_equal(result.smoothed.smoothed_state, result.full.predicted_state[:-1])
    np.testing.assert_array_equal(result.smoothed.smoothed_state_cov, result.full.predicted_state_cov[:-1])
    assert not result.smoothed.smoothed_state_diffuse.any()


def test_one_observation_tells_the_level_but_not_the_trend():
    level, trend = smooth([42.0], LEVEL).smoothed, smooth([42.0], TREND).smoothed
    assert (level.smoothed_state[0, 0], level.smoothed_state_cov[0, 0, 0]) == (42.0, 1.0)
    assert trend.smoothed_state[0, 0] == 42.0
    assert trend.smoothed_state_diffuse.tolist() == [[False, True]]
    # A period later or earlier the level is as unknown as the slope between.
    assert smooth([np.nan, 42.0], TREND).smoothed.smoothed_state_diffuse.tolist() == [[True, True], [False, True]]


def test_a_state_that_is_never_seen_stays_diffuse_and_harms_nothing():
    blind = univariate(np.eye(2), np.array([1.0, 0.0]), 1.0, np.eye(2), Diffuse())
    y = np.random.default_rng(3).normal(size=300)
    result, seen = smooth(y, blind), smooth(y, local_level(obs_var=1.0, level_var=1.0))
    np.testing.assert_allclose(
        result.smoothed.smoothed_state[:, 0], seen.smoothed.smoothed_state[:, 0], rtol=1e-11, atol=1e-12
    )
    np.testing.assert_allclose(
        result.smoothed.smoothed_state_cov[:, 0, 0], seen.smoothed.smoothed_state_cov[:, 0, 0], rtol=1e-11
    )
    assert result.smoothed.smoothed_state_diffuse[:, 1].all()
    assert not result.smoothed.smoothed_state_diffuse[:, 0].any()


def test_what_a_transition_forgets_before_it_is_seen_stays_diffuse():
    forgetful = univariate(np.zeros((1, 1)), np.ones(1), 1.0, np.ones((1, 1)), Diffuse())
    smoothed = smooth([np.nan, 2.0, 3.0], forgetful).smoothed
    assert smoothed.smoothed_state_diffuse[:, 0].tolist() == [True, False, False]
    np.testing.assert_allclose(smoothed.smoothed_state[1:, 0], [1.0, 1.5])


@pytest.mark.parametrize("unit", [2.0**-40, 2.0**40])
def test_scaling_the_series_and_its_variances_scales_the_smoothed_answer(unit):
    y = series(GAPS["in the diffuse phase"])
    base = smooth(y, TREND).smoothed
    variances = {"obs_var": 1.0, "level_var": 0.5, "trend_var": 0.1}
    scaled = smooth(y * unit, local_linear_trend(**{name: v * unit**2 for name, v in variances.items()})).smoothed
    np.testing.assert_allclose(scaled.smoothed_state, base.smoothed_state * unit, rtol=1e-10)
    np.testing.assert_allclose(scaled.smoothed_state_cov, base.smoothed_state_cov * unit**2, rtol=1e-10)


def test_what_stands_in_the_padding_is_never_read_on_the_way_back():
    item = (series([5], 100), TREND)
    passed = passes.forward_pass([item], Group(kind_of(TREND), "full", 32, (0,)), None)
    system, start = pack_carry(passed.lanes, passed.group.kind, 32)
    chunk = pack_chunk(passed.lanes, 0, 256, 32)
    _, outputs = passes.filter_chunk(system, start, chunk, variant="full")
    forward, none_later = passes.needed(outputs), passes.no_later_observation(2, 32)
    _, clean = passes.smooth_chunk(system, start, forward, chunk, none_later)
    chunk[100:] = 1e300
    chunk[:, 1:] = np.inf
    _, dirty = passes.smooth_chunk(system, start, forward, chunk, none_later)
    for name, output in clean.items():
        np.testing.assert_array_equal(np.asarray(output)[:100, ..., 0], np.asarray(dirty[name])[:100, ..., 0])


def test_an_overflow_is_flagged_for_its_series_alone():
    y = np.array([1.0, *[np.nan] * 7, 1.0])
    exploding = univariate(np.array([[1e50]]), np.ones(1), 1.0, np.ones((1, 1)), Known([1.0], [[1.0]]))
    answer = smooth_batch([(y, LEVEL), (y, exploding)])
    assert [result.finite for result in answer.series] == [True, False]
    assert answer.report.warnings == ("1 of 2 series overflowed float64",)


@pytest.mark.parametrize("variance", [1e6, 1e12, 1e20])
def test_a_prior_far_wider_than_the_data_costs_no_digits(variance):
    """What was a warning, "smoothed variances 1e8 times below the filtered ones", is an answer."""
    y = series([0, 1])
    vague = local_linear_trend(obs_var=2.0, level_var=0.3, trend_var=0.01, initial=ApproximateDiffuse(variance))
    answer = smooth_batch([(y, LEVEL), (y, vague)])
    assert answer.report.warnings == ()
    means, covs = exact.smoothed(vague, y)
    smoothed = answer.series[1].smoothed
    deviations = np.sqrt(np.diagonal(covs, axis1=1, axis2=2))
    assert (np.abs(smoothed.smoothed_state - means) <= 1e-8 * deviations + 1e-13 * np.abs(means)).all()
    scale = deviations[:, :, None] * deviations[:, None]
    assert (np.abs(smoothed.smoothed_state_cov - covs) <= 1e-8 * scale).all()


def test_the_kfas_convention_reaches_the_smoother_too(nile):
    (result,) = smooth_batch([(nile, local_level(obs_var=15099.0, level_var=1469.1))], loglike="kfas").series
    assert result.full.loglike == pytest.approx(-632.5456251157, abs=1e-9)


def test_no_series_at_all_is_no_error():
    assert smooth_batch([]).series == []


def test_a_direction_that_a_singular_transition_drops_leaves_no_rounding_behind():
    model = univariate(
        transition=np.array([[0.0, 0.0], [0.0, 1.0]]),
        design=np.array([0.0, 0.75]),
        obs_var=1.0,
        state_cov=np.zeros((2, 2)),
    )
    (result,) = smooth_batch([(np.array([np.nan, 0.0, 3.0]), model)]).series
    np.testing.assert_array_equal(
        result.smoothed.smoothed_state_diffuse, [[True, False], [False, False], [False, False]]
    )
    np.testing.assert_allclose(result.filtered_state[2], [0.0, 2.0])
    np.testing.assert_allclose(result.full.filtered_state_cov[2], [[0, 0], [0, 1 / (2 * 0.75**2)]], atol=1e-15)
