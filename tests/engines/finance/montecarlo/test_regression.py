"""The worked example of Longstaff and Schwartz (2001), section 1."""

import numpy as np
import pytest

from luna_serving.engines.finance.montecarlo.exercise.regression import backwards, regress

PATHS = np.array(
    [
        [1.09, 1.08, 1.34],
        [1.16, 1.26, 1.54],
        [1.22, 1.07, 1.03],
        [0.93, 0.97, 0.92],
        [1.11, 1.56, 1.52],
        [0.76, 0.77, 0.90],
        [0.92, 0.84, 1.01],
        [0.88, 1.22, 1.34],
    ]
).T
STRIKE, RATE = 1.10, 0.06


def test_the_eight_paths_of_the_paper() -> None:
    intrinsic = np.maximum(STRIKE - PATHS, 0.0)
    discounts = [float(np.exp(-RATE))] * 3

    def powers(k: int, mask: np.ndarray) -> np.ndarray:
        s = PATHS[k][mask]
        return np.stack([np.ones_like(s), s, s * s])

    coefficients, cash = backwards(intrinsic, discounts, powers)
    assert cash.mean() == pytest.approx(0.1144, abs=5e-5)
    assert (intrinsic[-1] * np.exp(-3 * RATE)).mean() == pytest.approx(0.0564, abs=5e-5)
    # E[Y | X] = -1.070 + 2.983 X - 1.813 X^2 and 2.038 - 3.335 X + 1.356 X^2.
    assert coefficients[1] == pytest.approx([-1.070, 2.983, -1.813], abs=2e-3)
    assert coefficients[0] == pytest.approx([2.038, -3.335, 1.356], abs=2e-3)


def test_a_regression_is_numpys_least_squares() -> None:
    generator = np.random.default_rng(3)
    x, y = generator.normal(size=(5, 200)), generator.normal(size=200)
    expected = np.linalg.lstsq(x.T, y, rcond=None)[0]
    assert regress(x, y) == pytest.approx(expected, abs=1e-12)


def test_a_feature_that_repeats_others_gets_nothing() -> None:
    generator = np.random.default_rng(3)
    x = generator.normal(size=(2, 50))
    beta = regress(np.stack([x[0], x[1], x[0] + x[1]]), x[0] - 2 * x[1])
    assert beta == pytest.approx([1.0, -2.0, 0.0], abs=1e-10)
    assert regress(x[:, :1], x[0, :1]) is None
