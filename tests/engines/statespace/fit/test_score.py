"""The gradient against central differences of the engine's own log-likelihood, which knows nothing of derivatives."""

import numpy as np
import pytest

from luna_serving.engines.statespace.batch import filter_batch
from luna_serving.engines.statespace.fit.objective import Objective, affine_in, evaluate
from luna_serving.engines.statespace.fit.search_space import search_space
from luna_serving.engines.statespace.model.initial import Known

from .cases import Case, autoregression, walk

REGRESSORS = np.random.default_rng(3).normal(size=(60, 2)) * [1.0, 300.0]
CASES = {
    "diffuse": Case(
        "local_linear_trend",
        {"obs_var": 1.1, "level_var": 0.6, "trend_var": 0.05},
        ("obs_var", "level_var", "trend_var"),
        walk(1, 90, gaps=0.2),
    ),
    "known": Case(
        "constant_velocity",
        {"dt": 0.5, "obs_var": 1.3, "accel_var": 0.4},
        ("obs_var", "accel_var"),
        walk(2, 300),
        Known([0.0, 0.1], [[2.0, 0.3], [0.3, 1.0]], "filtered"),
    ),
    "stationary": Case(
        "arima",
        {"order": [2, 0, 1], "ar": [0.9, -0.3], "ma": [0.4], "var": 0.8, "obs_var": 0.2, "intercept": 0.3},
        ("ar", "ma", "var", "obs_var", "intercept"),
        autoregression(3, 80),
    ),
    "partly stationary": Case(
        "arima",
        {"order": [1, 1, 1], "seasonal_order": [0, 1, 1, 4], "ar": [0.3], "ma": [0.2], "seasonal_ma": [-0.4], "var": 1},
        ("ar", "ma", "seasonal_ma", "var"),
        walk(4, 70, gaps=0.1),
    ),
    "several observed, correlated, in part missing": Case(
        "state_space",
        {
            "transition": [[0.9, 0.2], [0.0, 0.7]],
            "design": [[1.0, 0.0], [0.5, 1.0], [0.2, -0.3]],
            "obs_cov": [[1.0, 0.3, 0.1], [0.3, 1.5, -0.2], [0.1, -0.2, 0.8]],
            "state_cov": [[0.5, 0.1], [0.1, 0.4]],
            "obs_intercept": [0.1, 0.2, 0.3],
        },
        ("obs_cov", "state_cov", "transition", "design", "obs_intercept"),
        walk(5, 40, 3, gaps=0.25),
    ),
    "varying in time": Case(
        "constant_velocity",
        {"dt": np.random.default_rng(6).uniform(0.5, 2.0, 50).tolist(), "obs_var": 1.0, "accel_var": 0.3},
        ("obs_var", "accel_var"),
        walk(6, 50),
    ),
    "regression in unlike units": Case(
        "structural",
        {"obs_var": 1.0, "level": {"var": 0.4}, "regression": {"regressors": REGRESSORS.tolist()}},
        ("obs_var", "level.var"),
        walk(7, 60, gaps=0.1),
    ),
}


def loglike(case: Case, values: np.ndarray, parameters) -> float:
    model = case.build(parameters.with_values(values))
    (result,) = filter_batch([(case.y, model)], "full").series
    return result.full.loglike


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_value_and_gradient_are_those_of_the_engines_log_likelihood(case: Case) -> None:
    space, (own, _) = search_space(case.kind, case.fields, case.build, case.free, case.y)
    objective = Objective(space, case.y, affine_in(space, space.values(own)), np.ones(len(own), dtype=bool), own)
    (there,) = evaluate([(objective, own)], lambda: False)
    scale = objective.observations
    assert -there.value * scale == pytest.approx(loglike(case, space.values(own), space.parameters), rel=1e-12)
    expected = []
    for i in range(len(own)):
        step = 1e-5 * np.eye(len(own))[i] * max(1.0, abs(own[i]))
        ahead, behind = (loglike(case, space.values(own + s), space.parameters) for s in (step, -step))
        expected.append((ahead - behind) / (2 * step[i]))
    np.testing.assert_allclose(-there.gradient * scale, expected, rtol=1e-6, atol=1e-6)


def test_a_series_longer_than_a_chunk_is_one_sum() -> None:
    case = Case("local_level", {"obs_var": 1.0, "level_var": 0.5}, ("obs_var", "level_var"), walk(8, 700))
    space, (own, _) = search_space(case.kind, case.fields, case.build, case.free, case.y)
    objective = Objective(space, case.y, None, np.ones(2, dtype=bool), own)
    (there,) = evaluate([(objective, own)], lambda: False)
    expected = loglike(case, space.values(own), space.parameters)
    assert -there.value * objective.observations == pytest.approx(expected, rel=1e-12)


def test_no_model_is_worth_nothing_and_stops_no_neighbour() -> None:
    case = CASES["diffuse"]
    space, (own, _) = search_space(case.kind, case.fields, case.build, case.free, case.y)
    objective = Objective(space, case.y, None, np.ones(3, dtype=bool), own)
    there, nowhere = evaluate([(objective, own), (objective, np.zeros(3))], lambda: False)
    assert there.defined
    assert not nowhere.defined
