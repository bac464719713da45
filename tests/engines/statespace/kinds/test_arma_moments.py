"""The stationary start of ARMA models: none is refused, and its moments are those of 60 digits."""

import mpmath as mp
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from luna_serving.engines.statespace.batch import filter_batch
from luna_serving.engines.statespace.kinds import arima, structural
from luna_serving.engines.statespace.kinds.lag_polynomials import LARGEST_ROOT, largest_root
from luna_serving.engines.statespace.model.checks import ModelError
from luna_serving.engines.statespace.model.initial import Stationary

TENTHS = st.integers(-19, 19).map(lambda tenths: tenths / 10)


def reference(model, fields=None):
    """P = R R' + T R R' T' + ... with 60 digits, by doubling; of an ARMA model from the exact products of factors."""
    with mp.workdps(60):
        power, r = mp.matrix(model.transition.tolist()), mp.matrix(model.selection.tolist())
        if fields is not None:
            for i, each in enumerate(product(fields, "ar", -1)[1:]):
                power[i, 0] = -each
            for i, each in enumerate(product(fields, "ma", 1)):
                r[i, 0] = each
        cov = r * mp.mpf(float(model.state_cov[0, 0])) * r.T
        while max(abs(each) for each in power) > mp.mpf(10) ** -70:
            cov = cov + power * cov * power.T
            power = power * power
        return cov


def product(fields, name, sign):
    s = fields.get("seasonal_order", [0, 0, 0, 0])[3]
    first = [1, *(sign * mp.mpf(each) for each in fields.get(name, ()))]
    second = [1, *(sign * mp.mpf(each) for each in fields.get(f"seasonal_{name}", ()))]
    whole = [mp.mpf(0)] * (len(first) + s * (len(second) - 1))
    for i, one in enumerate(first):
        for j, other in enumerate(second):
            whole[i + s * j] += one * other
    return whole


def assert_exact(fields, tolerance=1e-11):
    model = arima(**fields)
    cov, exact = model.start.cov, reference(model, fields)
    n = model.states
    # 60 digits leave 1e-60 of what is zero.
    zero = [exact[i, i] < mp.mpf(10) ** -50 * exact[0, 0] for i in range(n)]
    np.testing.assert_array_equal(np.diagonal(cov) == 0, zero)
    for i in range(n):
        for j in range(n):
            bound = 0 if zero[i] or zero[j] else tolerance * mp.sqrt(exact[i, i] * exact[j, j])
            assert abs(cov[i, j] - (exact[i, j] if bound else 0)) <= bound
    assert np.linalg.eigvalsh(cov).min() >= -1e-13 * cov.max()


@st.composite
def one_decimal(draw):
    """Seasonal ARMA of up to 2 lags each, s up to 24; common factors are frequent."""
    s = draw(st.integers(2, 24))
    ar, ma = (draw(st.lists(TENTHS, max_size=2)) for _ in range(2))
    seasonal_ar, seasonal_ma = (draw(st.lists(TENTHS, max_size=2)) for _ in range(2))
    if draw(st.booleans()):
        seasonal_ma = [-each for each in seasonal_ar]
    if draw(st.booleans()):
        ma = [-each for each in ar]
    assume(max(len(ar) + len(seasonal_ar) * s, len(ma) + len(seasonal_ma) * s + 1) <= 64)
    assume(max(largest_root(ar), largest_root(seasonal_ar)) < 1 - 1e-6)
    orders = {"order": [len(ar), 0, len(ma)], "seasonal_order": [len(seasonal_ar), 0, len(seasonal_ma), s]}
    return orders | {"ar": ar, "ma": ma, "seasonal_ar": seasonal_ar, "seasonal_ma": seasonal_ma, "var": 1.0}


@settings(max_examples=300, deadline=None)
@given(one_decimal())
def test_every_one_decimal_model_is_served(fields):
    model = arima(**fields)
    assert (np.diagonal(model.start.cov) >= 0).all()
    # 60 digits of 64 states take seconds.
    if model.states <= 14:
        assert_exact(fields)


def test_a_long_season_is_exact_too():
    lags = {"ar": [0.7], "ma": [0.4], "seasonal_ar": [0.9], "seasonal_ma": [-0.3]}
    assert_exact({"order": [1, 0, 1], "seasonal_order": [1, 0, 1, 24], **lags, "var": 2.0})


@pytest.mark.parametrize("gap", [1e-3, 1e-5, 1e-7, 1e-9, 1e-10])
@pytest.mark.parametrize("sign", [1, -1])
def test_near_a_unit_root_the_variance_is_that_of_the_coefficient(gap, sign):
    coefficient = sign * (1 - gap)
    with mp.workdps(60):
        exact = float(1 / (1 - mp.mpf(coefficient) ** 2))
    assert arima(order=[1, 0, 0], ar=[coefficient], var=1.0).start.cov[0, 0] == pytest.approx(exact, rel=1e-15)
    for s in (4, 7, 12, 24):
        model = arima(order=[0, 0, 0], seasonal_order=[1, 0, 0, s], seasonal_ar=[coefficient], var=1.0)
        assert model.start.cov[0, 0] == pytest.approx(exact, rel=1e-15)
        assert np.count_nonzero(model.start.cov) == s, "seasons do not depend on each other"
    lagged = structural(ar={"coefficients": [coefficient], "var": 1.0})
    assert lagged.start.cov[0, 0] == pytest.approx(exact, rel=1e-15)
    if sign > 0:
        cycle = structural(cycle={"period": 9, "damping": coefficient, "var": 1.0})
        np.testing.assert_allclose(cycle.start.cov, exact * np.eye(2), rtol=1e-15)


@pytest.mark.parametrize(
    "roots", [[0.99999] * 2, [0.999] * 4, [0.9999, -0.9999], [0.9, 0.9, 0.9, 0.9, 0.9], [1 - 1e-9, 0.5]]
)
def test_roots_that_meet_are_no_unit_root(roots):
    """float64 finds four roots of 0.999 up to 1e-4 away."""
    ar = -np.poly(roots)[1:]
    assert_exact({"order": [len(ar), 0, 0], "ar": ar.tolist(), "var": 1.0})
    y = structural(ar={"coefficients": ar.tolist(), "var": 1.0})
    exact = reference(y)
    for i in range(len(ar)):
        for j in range(len(ar)):
            assert abs(y.start.cov[i, j] - exact[i, j]) <= mp.mpf(10) ** -12 * exact[0, 0]


@pytest.mark.parametrize("ar", [[1.0], [-1.0], [0.5, 0.5], [1.9999, -1.0], [1 - 1e-12], [2.0, -1.0], [0.1, 1.2]])
def test_a_root_on_the_circle_is_refused_at_its_own_field(ar):
    with pytest.raises(ModelError) as caught:
        arima(order=[len(ar), 0, 0], ar=ar, var=1.0)
    assert caught.value.pointer == "/ar"
    with pytest.raises(ModelError) as caught:
        arima(order=[0, 0, 0], seasonal_order=[len(ar), 0, 0, 5], seasonal_ar=ar, var=1.0)
    assert caught.value.pointer == "/seasonal_ar"
    assert "not stationary" in caught.value.message


def test_the_limit_lies_beyond_roots_of_1e_minus_10():
    assert 1 - 1e-10 < LARGEST_ROOT < 1 - 1e-11


def test_a_common_factor_has_variances_of_zero_and_white_noise_for_a_likelihood():
    """`cases/C2_common_factor.json`, after NVIDIA/cuml#2154: -3/2 ln 2π - (1 + 4 + 9) / 2."""
    fields = {"order": [0, 0, 0], "seasonal_order": [1, 0, 1, 12], "seasonal_ar": [0.3], "seasonal_ma": [-0.3]}
    model = arima(**fields, var=1.0)
    np.testing.assert_array_equal(np.diagonal(model.start.cov) == 0, [False, *[True] * 11, False])
    result = filter_batch([(np.array([1.0, 2.0, 3.0]), model)], "full").series[0]
    assert result.full.loglike == pytest.approx(-9.756815599614018, rel=1e-14)


def test_a_seasonal_autoregression_close_to_one_has_the_elementary_likelihood():
    """`cases/C1_sar_near_one.json`, after NVIDIA/cuml#2154: three seasons, independent, of variance 1 / (1 - phi²)."""
    model = arima(order=[0, 0, 0], seasonal_order=[1, 0, 0, 12], seasonal_ar=[0.99999], var=1.0)
    result = filter_batch([(np.array([1.0, 2.0, 3.0]), model)], "full").series[0]
    # The page's number takes 0.99999 as a decimal number, which moves the last digits.
    assert result.full.loglike == pytest.approx(-18.986630525548193, abs=1e-10)
    assert result.full.loglike == pytest.approx(-18.98663052555501882, rel=1e-15)


@pytest.mark.parametrize("ma", [1e-30, 1e-60, 1e-200])
def test_a_moving_average_that_is_nearly_nothing_is_no_reason_to_refuse(ma):
    model = arima(order=[1, 0, 1], ar=[0.5], ma=[ma], var=1.0)
    assert model.start.cov[0, 0] == pytest.approx(4 / 3, rel=1e-15)


@pytest.mark.parametrize("var", [1e-100, 1e-30, 1e30, 1e99])
def test_the_covariance_is_in_the_unit_of_var(var):
    fields = {"order": [2, 0, 1], "ar": [0.4, 0.3], "ma": [0.5]}
    one = arima(**fields, var=1.0).start.cov
    if var == 1e-100:
        # A state's variance below the smallest that the engine takes: in the unit of `var`.
        with pytest.raises(ModelError) as caught:
            arima(**fields, var=var)
        assert caught.value.pointer == "/var"
    else:
        np.testing.assert_allclose(arima(**fields, var=var).start.cov, one * var, rtol=1e-15)


def test_a_variance_too_large_is_blamed_on_var_and_a_mean_on_the_intercept():
    near = {"order": [1, 0, 0], "ar": [0.999999]}
    with pytest.raises(ModelError) as caught:
        arima(**near, var=1e99)
    assert caught.value.pointer == "/var"
    with pytest.raises(ModelError) as caught:
        arima(**near, var=1.0, intercept=1e99)
    assert caught.value.pointer == "/intercept"


def test_an_intercept_is_the_mean_times_what_the_autoregression_leaves():
    model = arima(order=[2, 0, 1], ar=[0.4, 0.3], ma=[0.5], intercept=0.6, var=1.0)
    np.testing.assert_allclose(
        model.start.mean, model.transition @ model.start.mean + model.state_intercept, rtol=1e-15
    )
    assert model.start.mean[0] == pytest.approx(2.0, rel=1e-15)


def test_asking_for_a_stationary_start_is_asking_for_the_default_one():
    fields = {"order": [1, 0, 1], "seasonal_order": [1, 0, 0, 12], "ar": [0.999999], "ma": [0.2], "seasonal_ar": [0.5]}
    default, asked = arima(**fields, var=1.0), arima(**fields, var=1.0, initial=Stationary())
    np.testing.assert_array_equal(asked.start.cov, default.start.cov)
    parts = {"cycle": {"period": 5, "damping": 0.99, "var": 1.0}, "ar": {"coefficients": [0.5, 0.2], "var": 2.0}}
    np.testing.assert_array_equal(structural(**parts, initial=Stationary()).start.cov, structural(**parts).start.cov)
    with pytest.raises(ModelError) as caught:
        arima(order=[1, 1, 0], ar=[0.5], var=1.0, initial=Stationary())
    assert caught.value.pointer == "/initial"
