"""What can be estimated of each kind, and where an estimation starts."""

import numpy as np
import pytest
import statsmodels.api as sm

from luna_serving.engines.statespace.kinds import KINDS
from luna_serving.engines.statespace.kinds.estimable import estimable
from luna_serving.engines.statespace.kinds.parameters import NotEstimable, free_parameters

DRAW = np.random.default_rng(0)
REGRESSORS = DRAW.normal(size=(120, 2)).tolist()
FIELDS = {
    "local_level": {"obs_var": 1.0, "level_var": 0.5},
    "local_linear_trend": {"obs_var": 1.0, "level_var": 0.5, "trend_var": 0.1},
    "constant_velocity": {"dt": 0.5, "obs_var": 1.0, "accel_var": 1.0},
    "constant_acceleration": {"dt": [1.0] * 119, "obs_var": 1.0, "accel_var": 1.0},
    "structural": {
        "obs_var": 0.5,
        "level": {"var": 0.1},
        "trend": {},
        "seasonal": {"period": 4, "var": 0.2},
        "freq_seasonal": [{"period": 6, "harmonics": 2, "var": 0.3}],
        "cycle": {"period": 7, "damping": 0.9, "var": 0.4},
        "ar": {"coefficients": [0.5, -0.2], "var": 0.6},
        "regression": {"regressors": REGRESSORS, "var": [0.0, 0.1]},
    },
    "arima": {
        "order": [2, 1, 1],
        "seasonal_order": [1, 1, 1, 4],
        "ar": [0.1, 0.2],
        "ma": [0.3],
        "seasonal_ar": [0.4],
        "seasonal_ma": [0.5],
        "var": 1.0,
    },
    "state_space": {
        "transition": [[0.5, 0.1], [0, 0.3]],
        "design": [[1.0, 0], [0, 1]],
        "obs_cov": [[1.0, 0], [0, 2]],
        "state_cov": [[1.0, 0.3], [0.3, 0.5]],
        "obs_intercept": [1.0, 2.0],
    },
}


def test_every_kind_has_parameters():
    assert set(FIELDS) == set(KINDS)


@pytest.mark.parametrize("kind", FIELDS)
def test_any_theta_is_a_model_and_is_read_back_from_its_fields(kind):
    fields = FIELDS[kind]
    parameters = free_parameters(kind, fields, list(estimable(kind, fields)))
    shapes = set()
    for _ in range(5):
        theta = DRAW.normal(size=parameters.size)
        constrained = parameters.constrain(theta)
        model = KINDS[kind](**constrained)
        shapes.add((model.states, model.shocks, model.length, model.start.rank))
        values = parameters.values(parameters.unconstrain(constrained))
        np.testing.assert_allclose(values, parameters.values(theta), rtol=1e-4, atol=1e-5)
    assert len(shapes) == 1, "a fit compiles once"


@pytest.mark.parametrize("kind", FIELDS)
def test_what_is_not_free_stays_and_the_callers_fields_are_left_alone(kind):
    before = repr(FIELDS[kind])
    for name in estimable(kind, FIELDS[kind]):
        parameters = free_parameters(kind, FIELDS[kind], [name])
        constrained = parameters.constrain(np.full(parameters.size, 0.7))
        assert repr(FIELDS[kind]) == before
        others = free_parameters(kind, constrained, [other for other in estimable(kind, constrained) if other != name])
        np.testing.assert_array_equal(others.read(constrained), others.read(FIELDS[kind]))


def test_numbers_are_named_one_by_one():
    names = {
        kind: free_parameters(kind, fields, list(estimable(kind, fields))).names for kind, fields in FIELDS.items()
    }
    assert names["local_level"] == ("obs_var", "level_var")
    assert names["arima"] == (
        *("ar.0", "ar.1", "ma.0", "seasonal_ar.0", "seasonal_ma.0", "intercept", "var", "obs_var"),
    )
    assert set(names["structural"]) >= {
        *("trend.var", "freq_seasonal.0.var", "cycle.damping", "cycle.period", "ar.coefficients.1"),
        "regression.var.1",
    }
    assert names["state_space"][:5] == (
        *("obs_cov.0.0", "obs_cov.1.1", "state_cov.0.0", "state_cov.1.0", "state_cov.1.1"),
    )


def test_a_diagonal_covariance_stays_diagonal_and_a_full_one_full():
    parameters = free_parameters("state_space", FIELDS["state_space"], ["obs_cov", "state_cov"])
    fields = parameters.constrain(np.array([2.0, 3.0, 1.0, 0.5, 2.0]))
    np.testing.assert_allclose(fields["obs_cov"], [[4, 0], [0, 9]])
    np.testing.assert_allclose(fields["state_cov"], [[1, 0.5], [0.5, 4.25]])


def test_a_matrix_that_varies_in_time_is_no_parameter():
    fields = FIELDS["state_space"] | {"obs_cov": [[[1.0, 0], [0, 2]]] * 3}
    assert "obs_cov" not in estimable("state_space", fields)


@pytest.mark.parametrize(("names", "index"), [(["obs_var", "q"], 1), (["dt"], 0), (["obs_var", "obs_var"], 1)])
def test_a_name_that_is_none_is_told_by_its_place(names, index):
    with pytest.raises(NotEstimable) as caught:
        free_parameters("constant_velocity", FIELDS["constant_velocity"], names)
    assert caught.value.index == index


def test_lags_may_be_left_out_where_their_orders_are_given():
    parameters = free_parameters("arima", {"order": [0, 1, 1], "var": 1.0}, ["ma"])
    np.testing.assert_array_equal(parameters.unconstrain(parameters.fields), [0.0])
    assert KINDS["arima"](**parameters.constrain(np.array([0.3]))).selection[2, 0] < 0


def test_the_start_for_the_nile_is_near_its_maximum(nile):
    parameters = free_parameters("local_level", FIELDS["local_level"], ["obs_var", "level_var"])
    obs_var, level_var = parameters.values(parameters.start([nile]))
    assert 15098.5 / 2 < obs_var < 15098.5 * 2
    assert 1469.2 / 5 < level_var < 1469.2 * 5


def test_the_start_for_an_autoregression_is_near_its_truth():
    draw = np.random.default_rng(3)
    y = np.zeros(2000)
    for t in range(2, 2000):
        y[t] = 0.6 * y[t - 1] - 0.3 * y[t - 2] + draw.normal()
    y[draw.random(2000) < 0.1] = np.nan
    parameters = free_parameters("arima", {"order": [2, 0, 0], "var": 9.0}, ["ar", "var"])
    np.testing.assert_allclose(parameters.values(parameters.start([y])), [0.6, -0.3, 1.0], atol=0.35)


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_a_start_is_a_model_in_the_unit_of_the_data(kind, scale):
    y = scale * sm.datasets.co2.load_pandas().data.co2.to_numpy()[:120]
    series = np.column_stack([y, y]) if kind == "state_space" else y
    parameters = free_parameters(kind, FIELDS[kind], list(estimable(kind, FIELDS[kind])))
    model = KINDS[kind](**parameters.constrain(parameters.start([series])))
    if kind != "state_space":
        assert 0.01 * np.nanvar(np.diff(y)) < model.obs_cov.item() < np.nanvar(y)


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("y", [[], [1.0], [np.nan] * 9, [5.0] * 20], ids=["none", "one", "missing", "constant"])
def test_series_that_say_nothing_start_somewhere(kind, y):
    series = np.array(y)
    series = np.column_stack([series, series]) if kind == "state_space" else series
    parameters = free_parameters(kind, FIELDS[kind], list(estimable(kind, FIELDS[kind])))
    theta = parameters.start([series])
    assert np.isfinite(theta).all()
    KINDS[kind](**parameters.constrain(theta))
