"""Mills' ratio, the logarithm, the exponential and the normalised Black function against mpmath."""

from collections.abc import Callable

import jax
import mpmath as mp
import numpy as np
import pytest
from scipy.special import ndtr
from tests.engines.finance.blackscholes.exact import DIGITS, normalised

from luna_serving.engines.finance.blackscholes.api.compute import configure_jax
from luna_serving.engines.finance.blackscholes.exponential import COEFFICIENTS as OF_EXP
from luna_serving.engines.finance.blackscholes.exponential import LEAST, exp
from luna_serving.engines.finance.blackscholes.logarithm import log
from luna_serving.engines.finance.blackscholes.mills import COEFFICIENTS, SCALE, SHIFT, mills, smooth_tail
from luna_serving.engines.finance.blackscholes.normalised import normalised_black

ULP = 2.0**-52


@pytest.fixture(autouse=True, scope="module")
def _float64() -> None:
    configure_jax()


def smooth(u: mp.mpf) -> mp.mpf:
    z = -SHIFT + SCALE * (1 + u) / (1 - u)
    if z > 5000:
        return (z + SHIFT + SCALE) * (1 / z - 1 / z**3 + 3 / z**5 - 15 / z**7)
    return mp.sqrt(mp.pi / 2) * mp.exp(z * z / 2) * mp.erfc(z / mp.sqrt(2)) * (z + SHIFT + SCALE)


def interpolant(function: Callable[[mp.mpf], mp.mpf], count: int, terms: int) -> list[mp.mpf]:
    """The Chebyshev interpolant on [-1, 1] at so many nodes, cut after so many terms, in powers."""
    values = [function(mp.cos(mp.pi * (2 * k + 1) / (2 * count))) for k in range(count)]
    chebyshev = [
        2 * mp.fsum(v * mp.cos(mp.pi * j * (2 * k + 1) / (2 * count)) for k, v in enumerate(values)) / count
        for j in range(terms)
    ]
    chebyshev[0] /= 2
    powers = [mp.mpf(0)] * terms
    before, term = [mp.mpf(1)], [mp.mpf(0), mp.mpf(1)]
    for c in chebyshev:
        for j, each in enumerate(before):
            powers[j] += c * each
        shifted = [mp.mpf(0), *(2 * each for each in term)]
        following = [a - b for a, b in zip(shifted, [*before, *[0] * (len(shifted) - len(before))], strict=True)]
        before, term = term, following
    return powers


def test_the_coefficients_are_those_of_the_interpolant() -> None:
    with mp.workdps(DIGITS):
        powers = interpolant(smooth, 64, len(COEFFICIENTS))
        assert [float(each) for each in powers] == pytest.approx(COEFFICIENTS, rel=1e-15, abs=1e-30)


def test_the_coefficients_of_the_exponential_are_those_of_the_interpolant() -> None:
    with mp.workdps(DIGITS):
        count, half = len(OF_EXP), mp.log(2) / 2 * mp.mpf("1.0001")
        powers = interpolant(lambda u: mp.exp(half * u), count, count)
        assert [float(each / half**k) for k, each in enumerate(powers)] == pytest.approx(OF_EXP, rel=1e-15)


def test_the_exponential_is_within_four_ulp() -> None:
    rng = np.random.default_rng(2)
    x = np.concatenate([rng.uniform(LEAST, 700.0, 2000), rng.uniform(-2.0, 2.0, 2000), [0.0, LEAST]])
    found = np.asarray(jax.jit(exp)(x))
    for value, argument in zip(found, x, strict=True):
        exact = mp.exp(mp.mpf(float(argument)))
        assert abs(float(value - exact)) <= 4 * np.spacing(float(exact))
    assert np.all(np.asarray(jax.jit(exp)(np.array([-701.0, -1e300, -np.inf]))) < 1e-300)


def test_the_smooth_tail_is_accurate_in_absolute_terms() -> None:
    z = np.linspace(-9.0, 9.0, 2001)
    found = np.asarray(jax.jit(smooth_tail)(z, np.exp(-0.5 * z * z), np.ones_like(z)))
    assert np.max(np.abs(found - ndtr(z))) < 1e-14


def test_mills_ratio_is_accurate_on_the_whole_half_line() -> None:
    z = np.concatenate([np.linspace(-0.5, 3, 200), np.geomspace(3, 1e8, 100)])
    with mp.workdps(DIGITS):
        exact = [
            mp.sqrt(mp.pi / 2) * mp.exp(mp.mpf(each) ** 2 / 2) * mp.erfc(mp.mpf(each) / mp.sqrt(2))
            if each < 1000
            else 1 / mp.mpf(each) - 1 / mp.mpf(each) ** 3 + 3 / mp.mpf(each) ** 5
            for each in z
        ]
        found = np.asarray(jax.jit(mills)(z))
        assert max(abs(float(f / e - 1)) for f, e in zip(found, exact, strict=True)) < 6 * ULP


def test_the_logarithm_is_within_an_ulp() -> None:
    rng = np.random.default_rng(0)
    x = np.concatenate([np.exp(rng.uniform(-600, 600, 2000)), rng.uniform(0.5, 2, 2000), [1.0]])
    found = np.asarray(jax.jit(log)(x))
    for value, argument in zip(found, x, strict=True):
        exact = mp.log(mp.mpf(float(argument)))
        assert abs(float(value - exact)) <= 1.05 * np.spacing(abs(float(exact)))


def test_the_normalised_black_function_is_within_its_condition_number() -> None:
    rng = np.random.default_rng(1)
    x = -(10 ** rng.uniform(-8, 0.7, 600))
    s = 10 ** rng.uniform(-5, 1.5, 600)
    keep = (x / s) ** 2 < 1300
    x, s = x[keep], s[keep]
    found = np.asarray(jax.jit(normalised_black)(x, s, np.exp(x / 2)))
    with mp.workdps(400):
        for value, at, total in zip(found, x, s, strict=True):
            exact = normalised(float(at), float(total))
            condition = 1 + (at / total) ** 2 + total**2 / 4
            assert abs(float(value / exact - 1)) <= 4 * condition * ULP
