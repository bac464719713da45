"""Stationary moments of any transition, against the same series summed with 60 digits."""

import mpmath as mp
import numpy as np
import pytest

from luna_serving.engines.statespace.model.stationary import NoMomentsError, stationary_moments


def reference(transition, selection, state_cov, intercept):
    """Mean and covariance with 60 digits, whatever the eigenvalues, by the linear system of n² + n unknowns."""
    with mp.workdps(60):
        t, r = mp.matrix(transition.tolist()), mp.matrix(selection.tolist())
        v = r * mp.matrix(state_cov.tolist()) * r.T
        power, cov = t.copy(), v.copy()
        for _ in range(45):
            cov = cov + power * cov * power.T
            power = power * power
        mean = mp.lu_solve(mp.eye(len(transition)) - t, mp.matrix(intercept.tolist()))
        return mean, cov


def assert_same(found, mean, cov, tolerance):
    n = len(found.mean)
    deviations = [mp.sqrt(cov[i, i]) for i in range(n)]
    for i in range(n):
        # Signs cancel in a mean's row: its own scale is that of all means.
        assert abs(found.mean[i] - mean[i]) <= tolerance * max(abs(each) for each in mean)
        for j in range(n):
            assert abs(found.cov[i, j] - cov[i, j]) <= tolerance * deviations[i] * deviations[j]


@pytest.mark.parametrize("largest", [0.5, 0.99, 0.99999, 1 - 1e-8, 1 - 1e-10])
@pytest.mark.parametrize("n", [1, 2, 5, 11])
def test_moments_are_exact_up_to_the_unit_circle(n, largest):
    draw = np.random.default_rng(n)
    transition = draw.normal(size=(n, n))
    transition *= largest / np.abs(np.linalg.eigvals(transition)).max()
    selection, root = draw.normal(size=(n, 2)), draw.normal(size=(2, 2))
    # Where the largest eigenvalue itself is known to 1e-16 / (1 - largest) only, it may lie above.
    args = transition, selection, root @ root.T, draw.normal(size=n)
    assert_same(stationary_moments(*args), *reference(*args), 1e-13)


def test_states_of_very_different_units_keep_their_digits():
    draw = np.random.default_rng(0)
    unit = np.exp2([0.0, 40.0, -60.0])
    transition = 0.3 * draw.normal(size=(3, 3)) * unit[:, None] / unit
    args = transition, np.diag(unit), np.eye(3), unit
    assert_same(stationary_moments(*args), *reference(*args), 1e-13)


def test_a_transition_that_grows_before_it_decays_is_no_unit_root():
    """All 20 eigenvalues are 0.5, as one Jordan block: float64 finds one of size 0.65, powers of T reach 1e5."""
    transition = 0.5 * np.eye(20) + np.eye(20, k=1)
    args = transition, np.eye(20), np.eye(20), np.zeros(20)
    assert_same(stationary_moments(*args), *reference(*args), 1e-13)


def test_a_variance_of_zero_is_zero_exactly():
    """The second state is the first times 0.1 in every period, and the third what is left of it."""
    transition = np.array([[0.3, 0.0, 0.0], [0.03, 0.0, 0.0], [0.03 - 0.1 * 0.3, 0.0, 0.5]])
    transition[2, 0] = 0.0
    cov = stationary_moments(transition, np.array([[1.0], [0.1], [0.0]]), np.eye(1), np.zeros(3)).cov
    assert cov[2, 2] == 0
    assert not cov[2].any()
    assert not cov[:, 2].any()
    assert cov[0, 0] == pytest.approx(1 / 0.91, rel=1e-15)


def test_shocks_that_cancel_leave_nothing():
    """x[t+1] = 0.7 (x[t] - z[t]) + (0.1 + 0.2 - 0.3) u in binary: the coefficients of u add up to 2^-54."""
    transition = np.array([[0.7, -0.7], [0.0, 0.0]])
    cov = stationary_moments(transition, np.array([[0.1], [0.1]]), np.eye(1), np.zeros(2)).cov
    difference = cov[0, 0] - 2 * cov[0, 1] + cov[1, 1]
    assert cov[0, 0] == pytest.approx(0.01, rel=1e-15)
    assert abs(difference) < 1e-17


def test_a_state_cov_that_is_semi_definite_but_for_rounding_gives_no_negative_variance():
    state_cov = np.array([[1.0, 1.0 + 1e-10], [1.0 + 1e-10, 1.0]])
    selection = np.array([[1.0, -1.0], [1.0, 1.0]])
    cov = stationary_moments(0.5 * np.eye(2), selection, state_cov, np.zeros(2)).cov
    assert cov[0, 0] == 0
    assert cov[1, 1] == pytest.approx(4 / 0.75)


@pytest.mark.parametrize(
    "transition",
    [
        np.eye(1),
        np.array([[1.0, 1.0], [0.0, 1.0]]),
        np.diag([0.5, 1.0]),
        np.array([[0.0, 1.0], [-1.0, 0.0]]),
        -2 * np.eye(3),
    ],
)
def test_a_root_on_or_outside_the_circle_has_no_moments(transition):
    n = len(transition)
    with pytest.raises(NoMomentsError):
        stationary_moments(transition, np.eye(n), np.eye(n), np.zeros(n))


def test_powers_beyond_float64_have_no_moments():
    with pytest.raises(NoMomentsError):
        stationary_moments(1e100 * np.eye(5, k=1), np.eye(5), np.eye(5), np.zeros(5))
