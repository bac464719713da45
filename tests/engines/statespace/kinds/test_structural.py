"""Structural models against statsmodels' matrices and against KFAS, by statsmodels' shipped results."""

import numpy as np
import pytest
import statsmodels.api as sm
from statsmodels.tsa.statespace.structural import UnobservedComponents
from statsmodels.tsa.statespace.tests.results import results_structural as kfas

from luna_serving.engines.statespace.batch import filter_batch
from luna_serving.engines.statespace.kinds import local_linear_trend, structural
from luna_serving.engines.statespace.model.checks import ModelError
from luna_serving.engines.statespace.model.initial import Diffuse
from luna_serving.engines.statespace.model.model import Model

REGRESSORS = np.random.default_rng(3).normal(size=(30, 2))
# Our fields; statsmodels' specification; its parameters, in its order: variances, frequency, damping, coefficients.
PEERS = {
    "level": ({"obs_var": 0.5, "level": {"var": 0.1}}, {"level": "llevel"}, [0.5, 0.1]),
    "fixed slope": (
        {"obs_var": 0.5, "level": {"var": 0.1}, "trend": {}},
        {"level": "lldtrend"},
        [0.5, 0.1],
    ),
    "smooth trend": ({"obs_var": 0.5, "level": {}, "trend": {"var": 0.2}}, {"level": "strend"}, [0.5, 0.2]),
    "season": (
        {"obs_var": 0.5, "level": {"var": 0.1}, "seasonal": {"period": 4, "var": 0.3}},
        {"level": "llevel", "seasonal": 4},
        [0.5, 0.1, 0.3],
    ),
    "fixed season": (
        {"obs_var": 0.5, "level": {"var": 0.1}, "seasonal": {"period": 7}},
        {"level": "llevel", "seasonal": 7, "stochastic_seasonal": False},
        [0.5, 0.1],
    ),
    "waves": (
        {
            "obs_var": 0.5,
            "level": {"var": 0.1},
            "freq_seasonal": [{"period": 5, "var": 0.2}, {"period": 12, "harmonics": 2, "var": 0.3}],
        },
        {"level": "llevel", "freq_seasonal": [{"period": 5}, {"period": 12, "harmonics": 2}]},
        [0.5, 0.1, 0.2, 0.3],
    ),
    "cycle": (
        {"obs_var": 0.5, "cycle": {"period": 7, "damping": 0.9, "var": 0.4}},
        {"irregular": True, "cycle": True, "stochastic_cycle": True, "damped_cycle": True},
        [0.5, 0.4, 2 * np.pi / 7, 0.9],
    ),
    "fixed cycle": (
        {"obs_var": 0.5, "level": {"var": 0.1}, "cycle": {"period": 11.5}},
        {"level": "llevel", "cycle": True},
        [0.5, 0.1, 2 * np.pi / 11.5],
    ),
    "autoregression": (
        {"level": {"var": 0.1}, "ar": {"coefficients": [0.5, -0.2], "var": 0.6}},
        {"level": "rwalk", "autoregressive": 2},
        [0.1, 0.6, 0.5, -0.2],
    ),
    "regression": (
        {"obs_var": 0.5, "level": {"var": 0.1}, "regression": {"regressors": REGRESSORS.tolist()}},
        {"level": "llevel", "exog": REGRESSORS, "mle_regression": False},
        [0.5, 0.1],
    ),
    "everything": (
        {
            "obs_var": 0.5,
            "level": {"var": 0.1},
            "trend": {"var": 0.2},
            "seasonal": {"period": 4, "var": 0.3},
            "freq_seasonal": [{"period": 6, "harmonics": 2, "var": 0.7}],
            "cycle": {"period": 9, "damping": 0.8, "var": 0.4},
            "ar": {"coefficients": [0.5, -0.2], "var": 0.6},
            "regression": {"regressors": REGRESSORS.tolist()},
        },
        {
            "level": "lltrend",
            "seasonal": 4,
            "freq_seasonal": [{"period": 6, "harmonics": 2}],
            "cycle": True,
            "stochastic_cycle": True,
            "damped_cycle": True,
            "autoregressive": 2,
            "exog": REGRESSORS,
            "mle_regression": False,
        },
        [0.5, 0.1, 0.2, 0.3, 0.7, 0.4, 0.6, 2 * np.pi / 9, 0.8, 0.5, -0.2],
    ),
}
SERIES = np.random.default_rng(0).normal(size=30).cumsum()


@pytest.mark.parametrize("name", PEERS)
def test_the_matrices_and_the_order_of_states_are_statsmodels(name):
    fields, specification, parameters = PEERS[name]
    model = structural(**fields)
    peer = UnobservedComponents(SERIES, **specification, use_exact_diffuse=True)
    peer.update(np.array(parameters))
    for matrix in ("transition", "selection", "obs_cov", "state_cov"):
        np.testing.assert_allclose(getattr(model, matrix), peer.ssm[matrix], atol=1e-15, err_msg=matrix)
    design = np.moveaxis(peer.ssm["design"], -1, 0) if peer.ssm["design"].ndim == 3 else peer.ssm["design"]
    np.testing.assert_array_equal(model.design, design)
    ours, theirs = ([name for name in names if "freq" not in name] for names in (model.state_names, peer.state_names))
    assert ours == theirs


@pytest.mark.parametrize(
    "name", ["level", "fixed slope", "smooth trend", "season", "fixed cycle", "autoregression", "regression"]
)
def test_the_default_start_has_statsmodels_exact_diffuse_likelihood(name):
    """But for a damped cycle, which statsmodels starts diffuse and we start stationary."""
    fields, specification, parameters = PEERS[name]
    peer = UnobservedComponents(SERIES, **specification, use_exact_diffuse=True)
    expected = peer.smooth(np.array(parameters)).llf
    assert filter_batch([(SERIES, structural(**fields))], "full").series[0].full.loglike == pytest.approx(
        expected, rel=1e-9
    )


UNEMPLOYMENT = {
    "deterministic_constant": lambda p: {"obs_var": p[0], "level": {}},
    "local_level": lambda p: {"obs_var": p[0], "level": {"var": p[1]}},
    "random_walk": lambda p: {"level": {"var": p[0]}},
    "deterministic_trend": lambda p: {"obs_var": p[0], "level": {}, "trend": {}},
    "local_linear_deterministic_trend": lambda p: {"obs_var": p[0], "level": {"var": p[1]}, "trend": {}},
    "random_walk_with_drift": lambda p: {"level": {"var": p[0]}, "trend": {}},
    "local_linear_trend": lambda p: {"obs_var": p[0], "level": {"var": p[1]}, "trend": {"var": p[2]}},
    "smooth_trend": lambda p: {"obs_var": p[0], "level": {}, "trend": {"var": p[1]}},
    "random_trend": lambda p: {"level": {}, "trend": {"var": p[0]}},
    "cycle": lambda p: {"obs_var": p[0], "cycle": {"period": 2 * np.pi / p[2], "damping": p[3], "var": p[1]}},
    "seasonal": lambda p: {"obs_var": p[0], "seasonal": {"period": 4, "var": p[1]}},
    "freq_seasonal": lambda p: {"obs_var": p[0], "freq_seasonal": [{"period": 5, "var": p[1]}]},
    "reg": lambda p: {"obs_var": p[0], "regression": {"regressors": [[x] for x in np.log(MACRO.realgdp)]}},
    "rtrend_ar1": lambda p: {"level": {}, "trend": {"var": p[0]}, "ar": {"coefficients": [p[2]], "var": p[1]}},
    "lltrend_cycle_seasonal_reg_ar1": lambda p: {
        "obs_var": p[0],
        "level": {"var": p[1]},
        "trend": {"var": p[2]},
        "seasonal": {"period": 4, "var": p[3]},
        "cycle": {"period": 2 * np.pi / p[6], "var": p[4]},
        "ar": {"coefficients": [p[7]], "var": p[5]},
        "regression": {"regressors": [[x] for x in np.log(MACRO.realgdp)]},
    },
}
MACRO = sm.datasets.macrodata.load_pandas().data


@pytest.mark.parametrize("name", UNEMPLOYMENT)
def test_kfas_likelihoods_of_american_unemployment_are_reproduced(name):
    """The file that statsmodels itself is tested with, to the tolerance it takes (test_structural.py: rtol 1e-7)."""
    shipped = getattr(kfas, name)
    model = structural(**UNEMPLOYMENT[name](shipped["params"]))
    result = filter_batch([(MACRO.unemp.to_numpy(), model)], "full", loglike="kfas").series[0]
    assert result.full.loglike == pytest.approx(shipped["llf"], rel=shipped.get("rtol", 1e-7))


def test_nist_longley_on_raw_columns_has_nine_correct_digits():
    """Certified values of the Statistical Reference Datasets, of a problem with a condition number of 5e9."""
    certified = [
        -3482258.63459582,
        15.0618722713733,
        -0.0358191792925910,
        -2.02022980381683,
        -1.03322686717359,
        -0.0511041056535807,
        1829.15146461355,
    ]
    data = sm.datasets.longley.load_pandas()
    model = structural(obs_var=1.0, level={}, regression={"regressors": data.exog.to_numpy()})
    result = filter_batch([(data.endog.to_numpy(dtype=float), model)], "full").series[0]
    np.testing.assert_allclose(result.filtered_state[-1], certified, rtol=1e-9)


def test_level_and_trend_are_the_local_linear_trend():
    model = structural(obs_var=1.0, level={"var": 0.5}, trend={"var": 0.2})
    preset = local_linear_trend(obs_var=1.0, level_var=0.5, trend_var=0.2)
    for matrix in ("transition", "design", "obs_cov", "disturbance_cov"):
        np.testing.assert_array_equal(getattr(model, matrix), getattr(preset, matrix))
    assert model.state_names == preset.state_names


def test_all_harmonics_of_an_even_period_leave_out_the_state_that_nothing_observes():
    waves = structural(obs_var=1.0, level={"var": 0.1}, freq_seasonal=[{"period": 4, "var": 0.2}])
    assert waves.states == 4
    result = filter_batch([(SERIES, waves)], "full").series[0]
    assert result.full.nobs_diffuse == 4, "statsmodels keeps the fifth, and is diffuse for ever"
    # With fixed effects, sines and dummies are two bases of the same seasonal patterns.
    levels = [
        filter_batch([(SERIES, structural(obs_var=1.0, level={"var": 0.1}, **season))], "full").series[0]
        for season in ({"seasonal": {"period": 4}}, {"freq_seasonal": [{"period": 4}]})
    ]
    np.testing.assert_allclose(levels[0].filtered_signal[4:], levels[1].filtered_signal[4:], rtol=1e-9)


def test_what_is_fixed_has_no_shock_and_a_variance_of_zero_has_one_that_never_strikes():
    assert structural(obs_var=1.0, level={}, trend={"var": 0.5}).shocks == 1
    assert structural(obs_var=1.0, level={"var": 0.0}, trend={"var": 0.5}).shocks == 2
    assert structural(obs_var=1.0, level={}).shocks == 1, "a model has at least one, here of zeros"


def test_coefficients_walk_together_or_each_for_itself():
    fields = {"obs_var": 1.0, "regression": {"regressors": REGRESSORS.tolist()}}
    fixed, alike, apart = (
        structural(**fields | {"regression": fields["regression"] | walk})
        for walk in ({}, {"var": 0.5}, {"var": [0.1, 0.2]})
    )
    assert not fixed.disturbance_cov.any()
    np.testing.assert_array_equal(alike.disturbance_cov, np.diag([0.5, 0.5]))
    np.testing.assert_array_equal(apart.disturbance_cov, np.diag([0.1, 0.2]))
    assert (fixed.length, fixed.varying) == (30, "/regression/regressors")


def test_an_autoregression_and_a_damped_cycle_start_stationary_and_the_rest_diffuse():
    fields = {
        "level": {},
        "cycle": {"period": 5, "damping": 0.5, "var": 3.0},
        "ar": {"coefficients": [0.8], "var": 0.36},
    }
    model = structural(**fields)
    assert model.start.rank == 1
    # Unconditional variances: var / (1 - damping²) and var / (1 - ar²).
    np.testing.assert_allclose(model.start.cov, np.diag([0.0, 4.0, 4.0, 1.0]), atol=1e-12)
    undamped = structural(obs_var=1.0, cycle={"period": 5, "damping": 1.0})
    assert isinstance(undamped.initial, Diffuse)
    assert structural(**fields, initial=Diffuse()).start.rank == 4


@pytest.mark.parametrize(
    ("fields", "pointer", "cure"),
    [
        ({}, "", "needs a component"),
        ({"trend": {}}, "/level", "is needed"),
        ({"level": {"var": -1.0}}, "/level/var", "negative"),
        ({"level": {}, "trend": {"var": -1.0}}, "/trend/var", "negative"),
        ({"level": {}}, "/obs_var", "above zero"),
        ({"seasonal": {"period": 1}}, "/seasonal/period", "at least 2"),
        ({"seasonal": {"period": 4.5}}, "/seasonal/period", "whole"),
        ({"seasonal": {"period": 4, "var": -1}}, "/seasonal/var", "negative"),
        ({"seasonal": {"period": 65}, "level": {}}, "/seasonal/period", "at most 64"),
        ({"freq_seasonal": [{"period": 7}, {"period": 1}]}, "/freq_seasonal/1/period", "at least 2"),
        ({"freq_seasonal": [{"period": 7, "harmonics": 4}]}, "/freq_seasonal/0/harmonics", "at most 3"),
        ({"freq_seasonal": [{"period": 7, "harmonics": 0}]}, "/freq_seasonal/0/harmonics", "at least 1"),
        ({"freq_seasonal": [{"period": 7, "var": -1}]}, "/freq_seasonal/0/var", "negative"),
        ({"freq_seasonal": [{"period": 1e18}]}, "/freq_seasonal/0/harmonics", "at most 64"),
        ({"seasonal": {"period": 10**9}}, "/seasonal/period", "freq_seasonal"),
        ({"ar": {"coefficients": [0.0] * 100_000, "var": 1.0}}, "/ar/coefficients", "at most 64"),
        ({"regression": {"regressors": [[1.0] * 100_000]}}, "/regression/regressors", "at most 64"),
        ({"freq_seasonal": [{"period": 168}]}, "/freq_seasonal/0/harmonics", "at most 64"),
        ({"cycle": {"period": 1.9}}, "/cycle/period", "at least 2"),
        ({"cycle": {"period": 4, "damping": 1.1}}, "/cycle/damping", "at most 1"),
        ({"cycle": {"period": 4, "damping": 0.0}}, "/cycle/damping", "above 0"),
        ({"cycle": {"period": 4, "damping": 1 - 1e-12, "var": 1.0}}, "/cycle/damping", "stationary"),
        ({"cycle": {"period": 4, "var": -1.0}}, "/cycle/var", "negative"),
        ({"ar": {"coefficients": [0.5, 0.6], "var": 1.0}}, "/ar/coefficients", "difference the series"),
        ({"ar": {"coefficients": [], "var": 1.0}}, "/ar/coefficients", "at least one"),
        ({"ar": {"coefficients": [0.1, float("inf")], "var": 1.0}}, "/ar/coefficients/1", "finite"),
        ({"ar": {"coefficients": [0.5], "var": -1.0}}, "/ar/var", "negative"),
        ({"regression": {"regressors": [[1.0], [1.0, 2.0]]}}, "/regression/regressors", "same length"),
        ({"regression": {"regressors": [1.0, 2.0]}}, "/regression/regressors", "one row a period"),
        ({"obs_var": 1, "regression": {"regressors": [[float("nan")]]}}, "/regression/regressors", "finite"),
        ({"regression": {"regressors": [[1.0]], "var": [1.0, 2.0]}}, "/regression/var", "one variance for each"),
        ({"regression": {"regressors": [[1.0]], "var": [-1.0]}}, "/regression/var/0", "negative"),
        ({"regression": {"regressors": [[1.0]], "var": -1.0}}, "/regression/var", "negative"),
        ({"level": {"var": 1.0}, "obs_var": -1.0}, "/obs_var", "negative"),
    ],
)
def test_a_wrong_field_is_pointed_to_with_its_cure(fields, pointer, cure):
    with pytest.raises(ModelError) as caught:
        structural(**fields)
    assert caught.value.pointer == pointer
    assert cure in caught.value.message


def test_a_season_of_long_seasons_moves_only_where_one_ends():
    """As a day-of-week season of hourly data (pymc-extras#483): 3 seasons of 4 steps, and the matrices by hand."""
    y = np.random.default_rng(4).normal(size=60)
    y[17:20] = np.nan
    words = {"period": 3, "duration": 4, "var": 0.5}
    model = structural(obs_var=1.0, level={"var": 0.1}, seasonal=words, periods=60)
    turn, stay = np.array([[1.0, 0, 0], [0, -1, -1], [0, 1, 0]]), np.eye(3)
    ends = [(t + 1) % 4 == 0 for t in range(60)]
    by_hand = Model(
        transition=np.stack([turn if end else stay for end in ends]),
        design=np.array([[1.0, 1.0, 0.0]]),
        obs_cov=np.eye(1),
        state_cov=np.stack([np.diag([0.1, 0.5 if end else 0.0]) for end in ends]),
        selection=np.eye(3)[:, :2],
    )
    ours, theirs = (filter_batch([(y, each)], "full").series[0] for each in (model, by_hand))
    assert ours.full.loglike == theirs.full.loglike
    np.testing.assert_array_equal(ours.filtered_state, theirs.filtered_state)
    assert model.state_names == ("level", "seasonal", "seasonal.L1")
    assert structural(obs_var=1.0, seasonal=words | {"duration": 1}).length is None


def test_a_fixed_season_of_long_seasons_is_a_regression_on_its_dummies():
    y = np.random.default_rng(4).normal(size=60)
    season = (np.arange(60) // 4) % 3
    dummies = np.column_stack([(season == 0) * 1.0 - (season == 2), (season == 1) * 1.0 - (season == 2)])
    parts = {"obs_var": 1.0, "level": {"var": 0.1}}
    dummy = structural(**parts, seasonal={"period": 3, "duration": 4}, periods=60)
    regression = structural(**parts, regression={"regressors": dummies.tolist()})
    ours, theirs = (filter_batch([(y, each)], "full").series[0] for each in (dummy, regression))
    assert ours.full.loglike == pytest.approx(theirs.full.loglike, rel=1e-12)
    np.testing.assert_allclose(ours.filtered_signal[15:], theirs.filtered_signal[15:], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("words", "periods", "cure"),
    [
        ({"period": 7, "duration": 0}, 10, "at least 1"),
        ({"period": 7, "duration": 24}, 10**6, "split the series"),
        ({"period": 65, "duration": 2}, 10**6, "split the series"),
    ],
)
def test_a_wrong_duration_is_pointed_to_with_its_cure(words, periods, cure):
    with pytest.raises(ModelError) as caught:
        structural(obs_var=1.0, level={}, seasonal=words, periods=periods)
    assert caught.value.pointer == "/seasonal/duration"
    assert cure in caught.value.message
