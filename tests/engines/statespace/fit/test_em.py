"""EM against maximum likelihood, and a step of it against the sums of statsmodels' disturbance smoother."""

from dataclasses import replace

import numpy as np
import pytest
from tests.engines.statespace.peer import statsmodels_smoother

from luna_serving.engines.statespace.fit.em import blocks, climb
from luna_serving.engines.statespace.fit.estimate import fit_batch
from luna_serving.engines.statespace.fit.objective import Objective, evaluate
from luna_serving.engines.statespace.fit.results import NoClosedForm
from luna_serving.engines.statespace.fit.search_space import search_space

from .cases import Case, autoregression, walk

CORRELATED = Case(
    "state_space",
    {
        "transition": [[1.0, 0.0], [0.0, 0.8]],
        "design": [[1.0, 0.3], [0.2, 1.0]],
        "obs_cov": [[1.0, 0.2], [0.2, 1.5]],
        "state_cov": [[0.5, 0.1], [0.1, 0.4]],
    },
    ("obs_cov", "state_cov"),
    walk(1, 60, 2),
)
TREND = Case(
    "local_linear_trend",
    {"obs_var": 1.0, "level_var": 0.5, "trend_var": 0.2},
    ("obs_var", "level_var", "trend_var"),
    walk(2, 80, gaps=0.2),
)


def way(case: Case, steps: int) -> tuple[list[float], list[np.ndarray]]:
    """Log-likelihoods and values of so many EM steps from the case's own values."""
    space, (own, _) = search_space(case.kind, case.fields, case.build, case.free, case.y)
    objective = Objective(space, case.y, None, np.ones(len(own), dtype=bool), own)
    search = climb(objective, blocks(space, space.values(own)), tolerance=0.0, max_iterations=steps)
    point, loglikes, values = next(search), [], []
    for _ in range(steps + 1):
        (there,) = evaluate([(objective, point.x)], lambda: False)
        loglikes.append(-there.value * objective.observations)
        values.append(objective.values(point.x))
        try:
            point = search.send(there)
        except StopIteration:
            break
    return loglikes, values


@pytest.mark.parametrize("case", [TREND, CORRELATED], ids=["variances", "covariances"])
def test_the_likelihood_rises_with_every_step(case: Case) -> None:
    loglikes, _ = way(case, 40)
    assert len(loglikes) == 41
    assert (np.diff(loglikes) > 0).all()
    assert loglikes[-1] > loglikes[0] + 1


def test_a_step_is_the_mean_of_the_smoothed_squares_of_variances() -> None:
    """Shumway & Stoffer (1982): E[u u' | y] is the square of the smoothed disturbance and its variance."""
    _, (before, after) = way(TREND, 1)
    fields = dict(zip(("obs_var", "level_var", "trend_var"), before, strict=True))
    peer = statsmodels_smoother(TREND.build(fields), TREND.y)
    known = ~np.isnan(TREND.y[:, 0])
    errors = peer.smoothed_measurement_disturbance[0] ** 2 + peer.smoothed_measurement_disturbance_cov[0, 0]
    assert after[0] == pytest.approx(errors[known].mean(), rel=1e-8)
    for i in range(2):
        squares = peer.smoothed_state_disturbance[i] ** 2 + peer.smoothed_state_disturbance_cov[i, i]
        assert after[1 + i] == pytest.approx(squares[:-1].mean(), rel=1e-8)


@pytest.mark.filterwarnings("ignore:The univariate filtering approach")
def test_a_step_is_the_mean_of_the_smoothed_squares_of_covariances() -> None:
    _, (_, after) = way(CORRELATED, 1)
    peer = statsmodels_smoother(CORRELATED.build(CORRELATED.fields), CORRELATED.y)
    # From the states: of correlated errors statsmodels has the covariance of their transformed ones only.
    design = np.array(CORRELATED.fields["design"])
    errors, shocks = CORRELATED.y.T - design @ peer.smoothed_state, peer.smoothed_state_disturbance
    obs = (errors @ errors.T + design @ peer.smoothed_state_cov.sum(axis=2) @ design.T) / 60
    state = (shocks[:, :-1] @ shocks[:, :-1].T + peer.smoothed_state_disturbance_cov[:, :, :-1].sum(axis=2)) / 59
    expected = [*obs[np.tril_indices(2)], *state[np.tril_indices(2)]]
    np.testing.assert_allclose(after, expected, rtol=1e-7)


def test_em_ends_where_maximum_likelihood_does(nile) -> None:
    case = Case("local_level", {"obs_var": 1e4, "level_var": 1e3}, ("obs_var", "level_var"), nile[:, None])
    fits = [fit_batch(case.task(method=m, max_iterations=5000), [case.y], lambda: False)[0] for m in ("mle", "em")]
    mle, em = fits
    assert em.converged
    assert em.loglike == pytest.approx(mle.loglike, abs=1e-9)
    for name, value in mle.estimates.items():
        assert em.estimates[name] == pytest.approx(value, rel=1e-5)
        assert em.standard_errors[name] == pytest.approx(mle.standard_errors[name], rel=1e-5)


@pytest.mark.parametrize("free", [("ar",), ("var",)])
def test_a_parameter_without_a_closed_step_is_refused(free: tuple[str, ...]) -> None:
    fields = {"order": [1, 0, 0], "ar": [0.5], "var": 1.0}
    case = Case("arima", fields, free, autoregression(3, 40))
    with pytest.raises(NoClosedForm, match="mle") as refused:
        fit_batch(case.task(method="em"), [case.y], lambda: False)
    assert refused.value.name == free[0]


def test_one_variance_of_several_shocks_is_counted_for_each() -> None:
    """Accelerations over unequal steps: the shock's covariance varies in time, its variance does not."""
    dt = np.random.default_rng(4).uniform(0.5, 2.0, 60).tolist()
    case = Case(
        "constant_velocity", {"dt": dt, "obs_var": 1.0, "accel_var": 0.3}, ("obs_var", "accel_var"), walk(4, 60)
    )
    loglikes, values = way(case, 60)
    assert (np.diff(loglikes) > 0).all()
    better = replace(case, fields={**case.fields, "accel_var": float(values[-1][1]), "obs_var": float(values[-1][0])})
    assert way(better, 1)[0][0] == pytest.approx(loglikes[-1], rel=1e-12)
