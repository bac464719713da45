"""KFAS's draws of states given observations, remade from the random numbers that it drew.

A draw is x⁺ + E[x | y - y⁺] with x⁺ and y⁺ from the model (Durbin & Koopman 2002, algorithm 2): given KFAS's x⁺ it is
a test of our smoother. Files, variates and tolerance: statsmodels' test_simulation_smoothing.py (1e-7). Left out, as
there: files 4 to 6, with missing data. KFAS draws nothing for what is missing, so that its numbers do not line up.
"""

import numpy as np
import pytest

from .shipped import columns, macro, near, smoothed, table
from .test_smoothing import VECTOR

Y = np.diff(np.log(macro("realgdp", "realcons", "realinv")), axis=0)


def drawn(y, errors, shocks, first):
    """One draw [T, n] from standard normal numbers for the noise, the shocks (both [T, 3]) and the first state."""
    noise = errors @ np.linalg.cholesky(VECTOR.obs_cov).T
    moves = shocks @ np.linalg.cholesky(VECTOR.state_cov).T
    states = np.empty_like(y)
    states[0] = np.sqrt(1e6) * first
    for t in range(1, len(y)):
        states[t] = VECTOR.transition @ states[t - 1] + moves[t - 1]
    left = y - (states + noise)
    return states + smoothed(left, VECTOR).smoothed.smoothed_state


STEPS = np.arange(27).reshape(9, 3) / 10.0
ZEROS = np.zeros((9, 3))


@pytest.mark.parametrize(("file", "errors", "shocks"), [(0, ZEROS, ZEROS), (1, STEPS, ZEROS), (2, STEPS, STEPS)])
def test_draws_from_known_numbers_are_kfas(file, errors, shocks):
    kfas = table(f"results_simulation_smoothing{file}.csv")
    states = drawn(Y[:9], errors, shocks, np.zeros(3))
    near(states, columns(kfas, "state", 3, 9), 1e-7, 1e-7)
    near(Y[:9] - states, columns(kfas, "eps", 3, 9), 1e-7, 1e-7)


def test_draws_from_random_numbers_are_kfas():
    variates = table("results_simulation_smoothing3_variates.csv").to_numpy().squeeze()
    kfas = table("results_simulation_smoothing3.csv")
    errors, shocks = variates[:-3].reshape(2, len(Y), 3)
    states = drawn(Y, errors, shocks, variates[-3:])
    near(states, columns(kfas, "state", 3, len(Y)), 1e-7, 1e-7)
    near(Y - states, columns(kfas, "eps", 3, len(Y)), 1e-7, 1e-7)
    moves = states[1:] - states[:-1] @ VECTOR.transition.T
    near(moves, columns(kfas, "eta", 3, len(Y) - 1), 1e-7, 1e-7)


@pytest.mark.parametrize(
    ("gaps", "loglike"),
    [([(slice(50), slice(None))], 1305.739288), ([(slice(50), 0)], 1518.449598)],
    ids=["all", "partial"],
)
def test_the_likelihood_with_missing_data_is_kfas(gaps, loglike):
    """As KFAS printed it, in test_simulation_smoothing.R."""
    y = Y.copy()
    for gap in gaps:
        y[gap] = np.nan
    near(smoothed(y, VECTOR).full.loglike, loglike)
