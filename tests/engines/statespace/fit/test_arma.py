"""The closed form of ARIMA lanes against lanes of models that are built and differenced, point by point."""

from dataclasses import replace

import numpy as np
import pytest

from luna_serving.engines.statespace.fit.arma import arma_in
from luna_serving.engines.statespace.fit.objective import Objective, evaluate
from luna_serving.engines.statespace.fit.search_space import SearchSpace, search_space
from luna_serving.engines.statespace.model.initial import ApproximateDiffuse

from .cases import Case, walk

ORDERS = [
    ((2, 0, 2), (0, 0, 0, 0)),
    ((0, 1, 5), (0, 0, 0, 0)),
    ((1, 1, 1), (0, 1, 1, 4)),
    ((3, 1, 0), (2, 0, 0, 3)),
    ((1, 0, 0), (1, 0, 1, 7)),
    ((0, 1, 1), (0, 1, 1, 12)),
]


def drawn(order: tuple, seasonal_order: tuple, *, noise: float = 0.0) -> Case:
    rng = np.random.default_rng(sum(order))
    names = zip(("ar", "ma", "seasonal_ar", "seasonal_ma"), (*order[::2], *seasonal_order[:3:2]), strict=True)
    lags = {name: rng.uniform(-0.3, 0.3, count).tolist() for name, count in names if count}
    fields = {"order": list(order), "seasonal_order": list(seasonal_order), **lags, "intercept": 0.1, "var": 1.3}
    noises = ("obs_var",) if noise else ()
    return Case("arima", {**fields, "obs_var": noise}, (*lags, "intercept", "var", *noises), walk(1, 60))


def objectives(case: Case) -> tuple[Objective, Objective, list[np.ndarray], SearchSpace]:
    space, (own, guess) = search_space(case.kind, case.fields, case.build, case.free, case.y)
    values = space.values(guess)
    arma = arma_in(space, space.model(values), values, gaps=bool(np.isnan(case.y).any()))
    assert arma is not None
    built = Objective(space, case.y, None, np.ones(len(own), dtype=bool), own)
    far = own + 0.5 * np.random.default_rng(2).normal(size=len(own))
    return built, replace(built, arma=arma), [own, guess, far], space


@pytest.mark.parametrize("gaps", [False, True], ids=["whole", "gaps"])
@pytest.mark.parametrize(("order", "seasonal_order"), ORDERS)
def test_value_and_gradient_are_those_of_the_models_that_are_built(order, seasonal_order, *, gaps: bool) -> None:
    case = drawn(order, seasonal_order)
    if gaps:
        case.y[[5, 20, 21]] = np.nan
    built, closed, places, _ = objectives(case)
    for x in places:
        (expected,), (found,) = (evaluate([(objective, x)], lambda: False) for objective in (built, closed))
        assert found.value == pytest.approx(expected.value, rel=1e-12)
        assert found.diffuse_resolved == expected.diffuse_resolved
        # What is expected comes from central differences of matrices.
        np.testing.assert_allclose(found.gradient, expected.gradient, rtol=1e-7, atol=1e-8)


def test_measurement_noise_keeps_the_differences_in_the_state() -> None:
    built, closed, places, _ = objectives(drawn((1, 1, 1), (0, 1, 1, 4), noise=0.2))
    for x in places:
        (expected,), (found,) = (evaluate([(objective, x)], lambda: False) for objective in (built, closed))
        assert found.value == pytest.approx(expected.value, rel=1e-12)


def test_another_start_has_no_closed_form() -> None:
    case = replace(drawn((1, 1, 1), (0, 0, 0, 0)), initial=ApproximateDiffuse(1e4))
    space, (own, _) = search_space(case.kind, case.fields, case.build, case.free, case.y)
    values = space.values(own)
    assert arma_in(space, space.model(values), values, gaps=False) is None


def test_the_derivative_of_values_by_coordinates_is_exact() -> None:
    for case in (drawn((3, 0, 2), (1, 0, 1, 4)), drawn((1, 1, 1), (0, 1, 1, 4), noise=0.3)):
        space, (own, _) = search_space(case.kind, case.fields, case.build, case.free, case.y)
        expected = [(space.values(own + step) - space.values(own - step)) / 2e-6 for step in 1e-6 * np.eye(len(own))]
        np.testing.assert_allclose(space.jacobian(own).T, expected, rtol=1e-7, atol=1e-8)


def test_a_lags_coordinates_and_values_are_inverse() -> None:
    case = drawn((3, 0, 2), (0, 0, 0, 0))
    space, (own, _) = search_space(case.kind, case.fields, case.build, case.free, case.y)
    np.testing.assert_allclose(space.coordinates(space.values(own)), own, rtol=1e-9, atol=1e-9)
