"""A VAR whose coefficients walk, against MATLAB: the posterior of all states, in one piece and not by recursion.

Chan & Jeliazkov's program (2009) inverts the precision of the states of all nine periods: an independent reference for
a design that varies in time, obs_cov that is not diagonal, means and covariances. Files and tolerance (1e-7) are those
of statsmodels' test_cfa_tvpvar.py. Its draws are left out: they are the same moments and MATLAB's random numbers.
"""

import numpy as np
import pytest

from luna_serving.engines.statespace.model.initial import Known
from luna_serving.engines.statespace.model.model import Model

from .shipped import macro, near, smoothed, table

GROWTH = 400 * np.diff(np.log(macro("realcons", "realgdp")), axis=0)[:12]
# The first two periods are for the prior alone, the third is the first lag.
Y, LAGGED = GROWTH[3:], GROWTH[2:-1]
PERIODS = 9


def moved(obs_cov, state_var):
    regressors = np.column_stack([np.ones(PERIODS), LAGGED])
    design = np.zeros((PERIODS, 2, 6))
    design[:, 0, :3] = design[:, 1, 3:] = regressors
    return Model(
        transition=np.eye(6),
        design=design,
        obs_cov=obs_cov,
        state_cov=np.diag(state_var),
        initial=Known(np.zeros(6), 5 * np.eye(6)),
    )


@pytest.mark.parametrize("draw", [0, 1])
def test_the_posterior_of_moving_coefficients_is_matlabs(draw):
    if draw:
        obs_cov = table("cfa_tvpvar_Omega_11.csv", header=None).to_numpy()[:, :2]
        state_var = table("cfa_tvpvar_Omega_22.csv", header=None).to_numpy()[:, 0]
    else:
        obs_cov, state_var = np.cov(GROWTH.T), np.full(6, 0.01)
    result = smoothed(Y, moved(obs_cov, state_var)).smoothed
    states = table("cfa_tvpvar_posterior_mean.csv", header=None).to_numpy()[6 * draw : 6 * draw + 6].T
    precision = table("cfa_tvpvar_invP.csv", header=None).to_numpy()[54 * draw : 54 * draw + 54]
    joint = np.linalg.inv(precision).reshape(PERIODS, 6, PERIODS, 6)
    near(result.smoothed_state, states)
    near(result.smoothed_state_cov, np.einsum("titj->tij", joint), 1e-7, 1e-12)
