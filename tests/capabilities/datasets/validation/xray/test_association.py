"""Claims about Cramér's V, against scipy and against what its correction promises."""

import numpy as np
import pytest
from scipy import stats
from scipy.stats.contingency import association as uncorrected

from luna_serving.capabilities.datasets.validation.xray.association import association


def test_one_that_tells_the_other_has_strength_one_and_a_constant_has_none():
    classes = ["a", "b", "c"] * 20
    assert association(classes, [c.upper() for c in classes]).strength == pytest.approx(1)
    assert association(classes, ["x"] * 60).strength == 0
    assert association(["a"], ["b"]).strength == 0


def test_the_p_value_is_that_of_scipy_and_the_strength_that_of_bergsma():
    rng = np.random.default_rng(1)
    first = rng.integers(0, 4, 300)
    second = np.where(rng.random(300) < 0.4, first, rng.integers(0, 4, 300))
    found = association([str(x) for x in first], [str(x) for x in second])
    table = np.zeros((4, 4), int)
    np.add.at(table, (first, second), 1)
    assert found.p_value == pytest.approx(stats.chi2_contingency(table, correction=False).pvalue)
    v, n = uncorrected(table, method="cramer"), 300
    phi2 = v**2 * 3 - 9 / (n - 1)
    assert found.strength == pytest.approx(np.sqrt(phi2 / (4 - 9 / (n - 1) - 1)))


def test_independent_variables_of_many_levels_are_not_called_dependent():
    rng = np.random.default_rng(2)
    corrected, plain = [], []
    for _ in range(200):
        first, second = rng.integers(0, 10, 60), rng.integers(0, 3, 60)
        corrected.append(association([str(x) for x in first], [str(x) for x in second]).strength)
        table = np.zeros((10, 3), int)
        np.add.at(table, (first, second), 1)
        plain.append(uncorrected(table[table.any(axis=1)], method="cramer"))
    assert np.mean(corrected) < 0.12
    assert np.mean(plain) > 0.35
