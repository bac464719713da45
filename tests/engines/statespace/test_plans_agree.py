"""Every plan gives the same numbers: each against the filter that runs a series at a time."""

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st

from luna_serving.engines.statespace.batch import Options, filter_batch, forecast_batch, smooth_batch
from luna_serving.engines.statespace.kinds import constant_acceleration, local_level, local_linear_trend
from luna_serving.engines.statespace.model.initial import ApproximateDiffuse, Diffuse, Known, Stationary
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.results.refusals import PlanError
from luna_serving.engines.statespace.results.series import SeriesResult

LEVEL = local_level(obs_var=1.0, level_var=0.5)
TREND = local_linear_trend(obs_var=1.0, level_var=0.5, trend_var=0.1)
seeds = st.integers(0, 2**32 - 1)


def model_of(rng: np.random.Generator, observed: int = 1, states: int = 4) -> Model:
    """A model that does not vary, whose filter forgets."""
    n = int(rng.integers(1, states + 1))
    transition = rng.normal(size=(n, n))
    transition *= rng.uniform(0.3, 0.98) / np.abs(np.linalg.eigvals(transition)).max()
    root, noise = rng.normal(size=(n, n)), rng.normal(size=(observed, observed))
    starts = [Diffuse(), Stationary(), ApproximateDiffuse(1e3), Known(rng.normal(size=n), np.eye(n))]
    return Model(
        transition=transition,
        design=rng.normal(size=(observed, n)),
        obs_cov=noise @ noise.T + 0.1 * np.eye(observed),
        state_cov=root @ root.T,
        obs_intercept=rng.normal(size=observed),
        state_intercept=rng.normal(size=n),
        initial=starts[rng.integers(len(starts))],
    )


def filtered(items, variant, algorithm, precision="float64") -> list[SeriesResult]:
    return filter_batch(items, variant, options=Options(algorithm, precision)).series


def assert_same(ours: SeriesResult, theirs: SeriesResult, plan: str, rtol: float = 1e-9) -> None:
    assert ours.plan == plan
    assert theirs.plan == "per_series"
    assert ours.finite
    scale = max(1.0, float(np.abs(theirs.filtered_state).max()))
    np.testing.assert_allclose(ours.filtered_state, theirs.filtered_state, rtol=rtol, atol=rtol * scale)
    if ours.full is None or theirs.full is None:
        return
    for name in (
        "filtered_state_cov",
        "predicted_state",
        "predicted_state_cov",
        "forecasts",
        "forecast_error",
        "forecast_error_cov",
        "standardized_forecast_error",
        "loglike_obs",
        "loglike",
    ):
        left, right = getattr(ours.full, name), getattr(theirs.full, name)
        size = max(1.0, float(np.nanmax(np.abs(right), initial=0.0)))
        np.testing.assert_allclose(left, right, rtol=rtol, atol=rtol * size, err_msg=name)
    assert ours.full.nobs_diffuse == theirs.full.nobs_diffuse
    for name in ("mean", "cov", "diffuse", "rank", "period", "nobs_diffuse"):
        left, right = getattr(ours.saved, name), getattr(theirs.saved, name)
        np.testing.assert_allclose(left, right, rtol=rtol, atol=rtol * scale, err_msg=name)


@settings(max_examples=25)
@given(seeds)
def test_shared_gains_answer_everything_that_a_series_at_a_time_does(seed):
    """Ragged series without gaps, and equally long ones with the same gaps."""
    rng = np.random.default_rng(seed)
    model = model_of(rng, states=6)
    if rng.random() < 0.5:
        series = [5 * rng.normal(size=int(length)) for length in rng.integers(30, 80, 7)]
    else:
        gaps = np.where(rng.random(60) < 0.3, np.nan, 0.0)
        series = [5 * rng.normal(size=60) + gaps for _ in range(4)]
    items = [(y, model) for y in series]
    for ours, theirs in zip(filtered(items, "full", "shared_gain"), filtered(items, "full", "per_series"), strict=True):
        assert_same(ours, theirs, "shared_gain")


@settings(max_examples=20)
@given(seeds)
def test_shared_gains_of_several_observed_elements_give_the_same_means(seed):
    rng = np.random.default_rng(seed)
    model = model_of(rng, observed=int(rng.integers(2, 4)), states=6)
    assume(model.observed <= model.states)
    gaps = np.where(rng.random((50, model.observed)) < 0.3, np.nan, 0.0)
    items = [(5 * rng.normal(size=gaps.shape) + gaps, model) for _ in range(4)]
    for ours, theirs in zip(
        filtered(items, "means", "shared_gain"), filtered(items, "means", "per_series"), strict=True
    ):
        assert_same(ours, theirs, "shared_gain")


@settings(max_examples=20)
@given(seeds)
def test_the_steady_state_gives_the_same_means(seed):
    rng = np.random.default_rng(seed)
    model = model_of(rng, observed=int(rng.integers(1, 3)))
    assume(model.observed <= model.states)
    items = [(5 * rng.normal(size=(2500, model.observed)), model) for _ in range(2)]
    try:
        ours = filtered(items, "means", "steady_state")
    except PlanError:
        reject()
    for left, right in zip(ours, filtered(items, "means", "per_series"), strict=True):
        assert_same(left, right, "steady_state")


@settings(max_examples=6)
@given(seeds)
def test_pieces_in_time_give_the_same_means(seed):
    rng = np.random.default_rng(seed)
    model = model_of(rng)
    y = 5 * rng.normal(size=30_000)
    y[rng.random(len(y)) < 0.2] = np.nan
    try:
        (ours,) = filtered([(y, model)], "means", "parallel_in_time")
    except PlanError:
        reject()
    (theirs,) = filtered([(y, model)], "means", "per_series")
    assert_same(ours, theirs, "parallel_in_time")


@settings(max_examples=25)
@given(seeds)
def test_the_square_root_filter_answers_everything_that_the_covariances_do(seed):
    rng = np.random.default_rng(seed)
    model = model_of(rng, observed=int(rng.integers(1, 3)))
    y = 5 * rng.normal(size=(40, model.observed))
    y[rng.random(y.shape) < 0.3] = np.nan
    (ours,) = filtered([(y, model)], "full", "square_root")
    (theirs,) = filtered([(y, model)], "full", "per_series")
    assert_same(ours, theirs, "square_root")


@settings(max_examples=15)
@given(seeds)
def test_the_square_root_filter_serves_smoothing_forecasts_and_resuming(seed):
    rng = np.random.default_rng(seed)
    model = model_of(rng)
    y = 5 * rng.normal(size=40)
    y[rng.random(40) < 0.3] = np.nan
    root, plain = Options("square_root"), Options("per_series")
    for one, other in (
        (smooth_batch([(y, model)], options=root), smooth_batch([(y, model)], options=plain)),
        (forecast_batch([(y, model)], [5], options=root), forecast_batch([(y, model)], [5], options=plain)),
    ):
        ours, theirs = one.series[0], other.series[0]
        for name in ("smoothed_state", "smoothed_state_cov") if hasattr(ours, "smoothed") else ("mean", "variance"):
            left, right = (getattr(getattr(each, "smoothed", each), name) for each in (ours, theirs))
            np.testing.assert_allclose(left, right, rtol=1e-8, atol=1e-8 * max(1.0, float(np.abs(right).max())))
    (whole,) = filtered([(y, model)], "full", "square_root")
    (before,) = filtered([(y[:17], model)], "full", "square_root")
    (after,) = filter_batch([(y[17:], model)], "full", starts=[before.saved], options=root).series
    np.testing.assert_array_equal(after.filtered_state, whole.filtered_state[17:])
    np.testing.assert_array_equal(after.saved.cov, whole.saved.cov)


def test_float32_means_stay_within_the_documented_share_of_the_posterior_deviation():
    rng = np.random.default_rng(1)
    items = [(rng.normal(size=500).cumsum(), TREND) for _ in range(6)]
    for ours, theirs in zip(
        filtered(items, "full", "shared_gain", "float32"), filtered(items, "full", "per_series"), strict=True
    ):
        assert ours.precision == "float32"
        deviation = np.sqrt(np.diagonal(theirs.full.filtered_state_cov, axis1=1, axis2=2))[2:]
        assert (np.abs(ours.filtered_state - theirs.filtered_state)[2:] < 2e-4 * deviation).all()
        assert ours.full.loglike == pytest.approx(theirs.full.loglike, rel=1e-5)


def test_the_engine_chooses_by_what_there_is_to_do():
    y = np.random.default_rng(0).normal(size=20_000)
    gappy = np.where(np.arange(20_000) % 7 == 3, np.nan, y)
    choices = {
        "per_series": ([(y[:100], LEVEL)] * 3, "full"),
        "shared_gain": ([(y[:50], LEVEL)] * 40, "full"),
        "steady_state": ([(y, TREND)], "means"),
        "parallel_in_time": ([(gappy, TREND)], "means"),
    }
    for plan, (items, variant) in choices.items():
        assert {result.plan for result in filter_batch(items, variant).series} == {plan}


def test_a_forced_plan_that_does_not_fit_says_what_to_do():
    y, gappy = np.ones(100), np.where(np.arange(100) % 7 == 3, np.nan, 1.0)
    for items, variant, plan, cure in (
        ([(y, LEVEL), (gappy, LEVEL)], "means", "shared_gain", "separate calls"),
        ([(gappy, LEVEL)], "means", "steady_state", "none of them missing"),
        ([(y, LEVEL)], "full", "steady_state", "ask for no other output"),
        ([(y, LEVEL)], "means", "parallel_in_time", "does not forget fast enough"),
        ([(y[:1], TREND), (y, TREND)], "means", "shared_gain", "after their diffuse start"),
    ):
        with pytest.raises(PlanError, match=cure):
            filtered(items, variant, plan)
    with pytest.raises(PlanError, match="smoothing and forecasts"):
        smooth_batch([(y, LEVEL)], options=Options("shared_gain"))


LONGLEY = (
    -3482258.63459582,
    15.0618722713733,
    -0.0358191792925910,
    -2.02022980381683,
    -1.03322686717359,
    -0.0511041056535807,
    1829.15146461355,
)
LONGLEY_DEVIATIONS = (
    890420.383607373,
    84.9149257747669,
    0.0334910077722432,
    0.488399681651699,
    0.214274163161675,
    0.226073200069370,
    455.478499142212,
)
LONGLEY_RESIDUAL = 304.854073561965


def test_longley_on_raw_columns_has_ten_digits():
    """NIST StRD Longley, certified values; statsmodels' exact diffuse filter has no correct digit here."""
    data = sm.datasets.longley.load_pandas()
    y, x = data.endog.to_numpy(np.float64), data.exog.to_numpy(np.float64)
    design = np.column_stack([np.ones(len(y)), x])[:, None]
    model = Model(
        transition=np.eye(7), design=design, obs_cov=np.array([[LONGLEY_RESIDUAL**2]]), state_cov=np.zeros((7, 7))
    )
    (result,) = smooth_batch([(y, model)]).series
    # Directions of so unlike sizes are multi-precision's: 13 digits where the square-root filter had 10.
    assert result.plan == "multiprecision"
    np.testing.assert_allclose(result.filtered_state[-1], LONGLEY, rtol=1e-10)
    np.testing.assert_allclose(np.sqrt(np.diagonal(result.full.filtered_state_cov[-1])), LONGLEY_DEVIATIONS, rtol=1e-10)
    for t in range(len(y)):
        np.testing.assert_allclose(result.smoothed.smoothed_state[t], LONGLEY, rtol=1e-10)


@settings(max_examples=8)
@given(seeds)
def test_many_series_side_by_side_give_the_same_means(seed):
    """Own models, own gaps, lengths that differ."""
    rng = np.random.default_rng(seed)
    items = []
    for _ in range(70):
        y = 5 * rng.normal(size=int(rng.integers(1600, 2000)))
        y[rng.random(len(y)) < 0.2] = np.nan
        y[:6] = 1.0
        items.append((y, model_of(rng, states=2)))
    for ours, theirs in zip(filter_batch(items, "means").series, filtered(items, "means", "per_series"), strict=True):
        assert_same(ours, theirs, "per_series", rtol=1e-10)


def test_a_single_shock_stays_one_in_the_square_root_filter():
    """Its root has one column: of g g', with entries from 1e-12 to 1, rounding would make shocks of its own."""
    model = constant_acceleration(dt=[1.0, 1e-3, 1e-3, 1.0, 1.0, 1.0, 1.0], obs_var=0.0, accel_var=1.0)
    y = np.random.default_rng(0).normal(size=8).cumsum()
    (ours,) = filtered([(y, model)], "full", "square_root")
    (theirs,) = filtered([(y, model)], "full", "per_series")
    np.testing.assert_allclose(ours.filtered_state, theirs.filtered_state, rtol=1e-6)
    np.testing.assert_allclose(
        ours.full.filtered_state_cov[-1, 1, 1], theirs.full.filtered_state_cov[-1, 1, 1], rtol=1e-6
    )


def test_float32_is_not_taken_where_the_level_would_use_up_its_digits():
    rng = np.random.default_rng(1)
    gaps = np.where(np.arange(100) % 7 == 3, np.nan, 0.0)
    items = [(1e7 + rng.normal(size=100).cumsum() + gaps, LEVEL) for _ in range(3)]
    for ours, theirs in zip(
        filtered(items, "full", "shared_gain", "float32"), filtered(items, "full", "per_series"), strict=True
    ):
        assert ours.precision == "float64"
        assert ours.full.loglike == pytest.approx(theirs.full.loglike, rel=1e-9)
