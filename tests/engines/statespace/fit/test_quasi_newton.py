"""BFGS on functions whose minimum is known."""

import numpy as np
import pytest
from scipy.optimize import rosen, rosen_der

from luna_serving.engines.statespace.fit.parallel_search import run_in_parallel
from luna_serving.engines.statespace.fit.quasi_newton import Evaluation, minimise
from luna_serving.engines.statespace.fit.stop import Stop


def rosenbrock(x: np.ndarray) -> Evaluation:
    return Evaluation(x, rosen(x), rosen_der(x))


def within_a_disc(x: np.ndarray) -> Evaluation:
    """A barrier that is not defined outside the unit disc, where steps of the search lead."""
    inside = 1 - x @ x
    if inside <= 0:
        return Evaluation(x, np.inf, np.zeros(2))
    return Evaluation(x, -np.log(inside) - 5 * x[0], 2 * x / inside - np.array([5.0, 0.0]))


def searched(function, *starts, **options):
    searches = [minimise(np.array(start), tolerance=1e-9, **({"max_iterations": 300} | options)) for start in starts]
    return run_in_parallel(searches, lambda points: [function(x) for _, x in points])


def test_searches_side_by_side_each_find_the_minimum() -> None:
    for trace in searched(rosenbrock, [-1.2, 1.0], [0.0] * 5, [2.0] * 10):
        assert trace.outcome.stop == Stop.FLAT
        np.testing.assert_allclose(trace.best.x, 1.0, rtol=1e-8)


def test_a_search_turns_back_where_the_function_is_not_defined() -> None:
    (trace,) = searched(within_a_disc, [-0.5, 0.8])
    # 2 u / (1 - u²) = 5 on the first axis.
    np.testing.assert_allclose(trace.best.x, [(np.sqrt(26) - 1) / 5, 0.0], atol=1e-9)


def test_a_search_says_that_its_iterations_ran_out_and_keeps_its_best() -> None:
    (trace,) = searched(rosenbrock, [-1.2, 1.0], max_iterations=5)
    assert trace.outcome.stop == Stop.ITERATION_LIMIT
    assert trace.iterations == 5
    assert trace.best.value < rosen(np.array([-1.2, 1.0]))


def test_a_function_without_a_minimum_is_said_to_have_none() -> None:
    (trace,) = searched(lambda x: Evaluation(x, float(np.sum(x)), np.ones(2)), [0.0, 0.0], floor=-100.0)
    assert trace.outcome.stop == Stop.NO_MAXIMUM


def test_a_function_that_contradicts_its_gradient_is_given_up() -> None:
    (trace,) = searched(lambda x: Evaluation(x, float(x @ x), -2 * x), [1.0, 1.0])
    assert trace.outcome.stop == Stop.NO_IMPROVEMENT
    assert trace.best.value == pytest.approx(2.0)
