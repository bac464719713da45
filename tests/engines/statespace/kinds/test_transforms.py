"""Constraints: what an optimiser may choose freely is always a model, and every model is within its reach."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from statsmodels.tsa.statespace.tools import constrain_stationary_univariate

from luna_serving.engines.statespace.kinds.lag_polynomials import largest_root
from luna_serving.engines.statespace.kinds.transforms import CONSTRAINTS, MARGIN, lower_triangle, symmetric

THETA = st.integers(1, 5).flatmap(lambda n: arrays(np.float64, n, elements=st.floats(-5, 5)))
WILD = st.integers(1, 5).flatmap(lambda n: arrays(np.float64, n, elements=st.floats(-1e200, 1e200)))


@given(WILD)
def test_whatever_an_optimiser_tries_is_within_bounds(theta):
    values = {name: CONSTRAINTS[name].values(theta) for name in ("variance", "unit_interval", "period")}
    assert ((values["variance"] >= 0) & (values["variance"] <= 1e100)).all()
    assert ((values["unit_interval"] > 0) & (values["unit_interval"] < 1)).all()
    assert ((values["period"] > 2) & np.isfinite(values["period"])).all()


@given(arrays(np.float64, st.integers(1, 4), elements=st.floats(-30, 30)))
def test_autoregressions_are_stationary_and_moving_averages_invertible(theta):
    assert largest_root(CONSTRAINTS["stationary"].values(theta)) < 1
    assert largest_root(-CONSTRAINTS["invertible"].values(theta)) < 1


@given(THETA)
def test_values_lead_back_to_themselves(theta):
    for name in ("free", "variance", "unit_interval", "period", "stationary", "invertible"):
        constraint = CONSTRAINTS[name]
        values = constraint.values(theta)
        again = constraint.values(constraint.theta(values))
        # A period of 1e6 steps is as good as one of 1e5: nothing that is observed tells them apart.
        if name == "period":
            values, again = 1 / values, 1 / again
        np.testing.assert_allclose(again, values, rtol=1e-6, atol=3 * MARGIN)


@given(arrays(np.float64, st.sampled_from([1, 3, 6, 10]), elements=st.floats(-10, 10)))
def test_a_covariance_is_one_and_leads_back_to_itself(theta):
    constraint = CONSTRAINTS["covariance"]
    elements = constraint.values(theta)
    cov = symmetric(elements)
    np.testing.assert_array_equal(cov, cov.T)
    assert np.linalg.eigvalsh(cov)[0] >= -1e-12 * max(np.abs(cov).max(), 1.0)
    again = constraint.values(constraint.theta(elements))
    np.testing.assert_allclose(again, elements, rtol=1e-9, atol=1e-9 * max(np.abs(elements).max(), 1.0))


def test_a_singular_covariance_has_a_theta():
    cov = np.outer([1.0, 2.0, -1.0], [1.0, 2.0, -1.0])
    constraint = CONSTRAINTS["covariance"]
    again = constraint.values(constraint.theta(lower_triangle(cov)))
    np.testing.assert_allclose(symmetric(again), cov, atol=1e-12)


def test_autoregressions_are_statsmodels_with_the_sign_turned():
    theta = np.random.default_rng(0).normal(size=5)
    np.testing.assert_allclose(
        CONSTRAINTS["stationary"].values(-theta), constrain_stationary_univariate(theta), atol=10 * MARGIN
    )


@pytest.mark.parametrize(
    ("name", "outside"), [("stationary", [1.2, 0.3]), ("invertible", [-1.0]), ("unit_interval", [1.0])]
)
def test_what_is_on_a_bound_or_past_it_is_brought_just_inside(name, outside):
    theta = CONSTRAINTS[name].theta(np.array(outside))
    assert np.isfinite(theta).all()
    assert np.isfinite(CONSTRAINTS[name].values(theta)).all()
