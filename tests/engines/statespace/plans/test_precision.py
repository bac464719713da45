"""How many digits the plans keep where the model is ill-conditioned, against exact fractions and against float64."""

from fractions import Fraction

import numpy as np
import pytest
from tests.engines.statespace.exact import fractions, product, total, turned
from tests.engines.statespace.plans.test_plans import model_arrays, starts_of, trend
from tests.engines.statespace.plans.textbook import textbook

from luna_serving.engines.statespace.plans.per_series import per_series_filter
from luna_serving.engines.statespace.plans.recurrence import recurrence
from luna_serving.engines.statespace.plans.shared_gain import shared_gain_filter


def exact_means(transition, design, obs_var, state_cov, cov, y):
    """Filtered means `[time, n]` in exact fractions, from a mean of zero; float64 only at the very end."""
    t, z, q, p = (fractions(each) for each in (transition, design, state_cov, cov))
    a, means = [[Fraction(0)] for _ in t], []
    for value in y:
        if not np.isnan(value):
            m = product(p, turned(z))
            f = product(z, m)[0][0] + Fraction(obs_var)
            v = Fraction(float(value)) - product(z, a)[0][0]
            a = total(a, [[x[0] * v / f] for x in m])
            p = total(p, [[x / f for x in line] for line in product(m, turned(m))], -1)
        means.append([float(x[0]) for x in a])
        a, p = product(t, a), total(product(product(t, p), turned(t)), q)
    return np.array(means)


def plan_off(n, prior, disturbances):
    """How far the plan and the textbook's loop are from exact fractions, in the size of each state."""
    rng = np.random.default_rng(n)
    model = trend(n, 12, [disturbances * 0.1 ** (k + 1) for k in range(n)], start=prior)
    model.design = model.design + 0.3 * np.eye(1, n, k=1)
    y = 1e6 * rng.normal(size=12)
    y[[4, 5]] = np.nan
    means, _ = per_series_filter(model_arrays([model]), y[None], starts_of([model]))
    expected = exact_means(model.transition[0], model.design[0], 1.0, model.state_cov[0], model.cov, y)
    scale = np.abs(expected).max(axis=0)
    loop = textbook(model, y[:, None]).array("mean")
    return (np.abs(means[0] - expected) / scale).max(), (np.abs(loop - expected) / scale).max()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_state_variances_1e12_times_obs_var_cost_no_digits(n):
    off, _ = plan_off(n, prior=1e12, disturbances=1e12)
    assert off < 1e-12


@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_vague_prior_costs_no_more_digits_than_josephs_form_in_two_products(n):
    off, josephs = plan_off(n, prior=1e12, disturbances=1.0)
    assert off < 4 * josephs + 1e-14
    assert off < 1e-3


def test_float32_means_stay_within_2e_4_of_the_posterior_sd():
    length = 1000
    model = trend(4, length, [1.0, 1e-2, 1e-4, 1e-6], start=100.0)
    rng = np.random.default_rng(0)
    y = rng.normal(size=(40, length)).cumsum(axis=1) * 3
    reference = textbook(model, y[0][:, None])
    gains = recurrence(
        reference.array("gain"), model.transition, model.design, model.state_intercept, model.obs_intercept
    )
    start = np.zeros((4, 40))
    fine = shared_gain_filter(gains, y, start)
    coarse = shared_gain_filter(gains, y, start, precision=np.float32)
    np.testing.assert_array_equal(coarse, coarse.astype(np.float32))
    deviation = np.sqrt(np.diagonal(reference.array("cov"), axis1=1, axis2=2))
    off = np.abs(coarse - fine) / deviation
    assert 0 < off.max() < 2e-4
