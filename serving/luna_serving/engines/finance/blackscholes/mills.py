"""Mills' ratio m(z) = (1 - Φ(z)) / φ(z), and its differences without cancellation.

On z >= -SHIFT, m(z) = w S(u) with w = 1 / (z + SHIFT + SCALE) and u = 1 - 2 SCALE w in [-1, 1). S is smooth up to
u = 1 (where it is 1) and decreases from 8 to 1, so one polynomial gives m with full relative accuracy on the whole
half-line, and its divided difference gives m(z1) - m(z2) with full relative accuracy, too:

    m(z1) - m(z2) = (w1 - w2) (S(u1) - 2 SCALE w2 S[u1, u2]),    w1 - w2 = (z2 - z1) w1 w2.

Both terms are positive. The coefficients are those of the Chebyshev interpolant of degree 63, cut after degree 30, in
powers of u, rounded from 60 digits (the test recomputes them).
"""

from typing import Final

import jax.numpy as jnp
import numpy as np
from jax import Array

from luna_serving.engines.finance.blackscholes.polynomial import estrin

SHIFT: Final = 0.5
SCALE: Final = 4.0
# S(u), from the constant on.
COEFFICIENTS: Final = (
    2.13254215174579,
    -2.156277599372088,
    1.7527749897250176,
    -1.121646262804445,
    0.53564663174685,
    -0.1642639398630466,
    0.011671248873185937,
    0.01510957119663022,
    -0.005420637172753265,
    -0.0010189558323548246,
    0.0009608671322126913,
    7.024867630578512e-05,
    -0.0001658893873728634,
    -1.1001771916948411e-05,
    3.0474788676674813e-05,
    4.143730066520587e-06,
    -5.7003857395639864e-06,
    -1.6107626406802681e-06,
    9.611100253227204e-07,
    5.382043039756276e-07,
    -1.0243284608491815e-07,
    -1.5130947079540905e-07,
    -1.4183577484381595e-08,
    3.443947946045929e-08,
    1.256543351895463e-08,
    -5.8499587984257905e-09,
    -4.129785967794916e-09,
    6.331792612589133e-10,
    7.933761964775533e-10,
    -3.0030743693831783e-11,
    -7.250520324018688e-11,
)
# Near the money, where S is steepest and a rounding of u costs several ulp, the Taylor series around 0 is better:
# m' = z m - 1 gives its coefficients, m_k = m_(k-2) / k.
CENTRAL: Final = 0.7
_TERMS: Final = 28
ROOT_TWO_PI: Final = 2.5066282746310002


def _taylor() -> tuple[float, ...]:
    terms = [0.5 * ROOT_TWO_PI, -1.0]
    for k in range(2, _TERMS):
        terms.append(terms[k - 2] / k)
    return tuple(terms)


TAYLOR: Final = _taylor()


# S(u) / √(2π) within 1e-14: its Chebyshev series, cut after degree 20.
_ROUGH_DEGREE: Final = 20
_SERIES: Final = np.polynomial.chebyshev.poly2cheb(np.array(COEFFICIENTS))[: _ROUGH_DEGREE + 1]
ROUGH: Final = tuple((np.polynomial.chebyshev.cheb2poly(_SERIES) / ROOT_TWO_PI).tolist())


def mills(z: Array) -> Array:
    """m(z) for z >= -SHIFT."""
    w = 1.0 / (z + (SHIFT + SCALE))
    return w * _smooth(1.0 - 2.0 * SCALE * w)


def mills_difference(z1: Array, gap: Array) -> tuple[Array, Array]:
    """m(z1) - m(z1 + gap) and m(z1), for z1 >= -SHIFT and gap >= 0; the difference exact to a few ulp for any gap."""
    a1 = z1 + (SHIFT + SCALE)
    a2 = a1 + gap
    # Two divisions, where one would do: S[u1, u2] is steep, and an ulp of u costs it several.
    w1, w2 = 1.0 / a1, 1.0 / a2
    u1, u2 = 1.0 - 2.0 * SCALE * w1, 1.0 - 2.0 * SCALE * w2
    value, divided = _with_divided_difference(COEFFICIENTS, u1, u2)
    outer = w1 * w2 * (value - 2.0 * SCALE * w2 * divided)
    z2 = z1 + gap
    central, inner = _with_divided_difference(TAYLOR, z1, z2)
    near = z2 <= CENTRAL
    return gap * jnp.where(near, -inner, outer), jnp.where(near, central, w1 * value)


def _with_divided_difference(coefficients: tuple[float, ...], x1: Array, x2: Array) -> tuple[Array, Array]:
    """A polynomial at x1, and its divided difference between x1 and x2, by one Horner scheme."""
    value = jnp.full_like(x1, coefficients[-1])
    divided = jnp.zeros_like(x1)
    for c in coefficients[-2::-1]:
        divided = divided * x2 + value
        value = value * x1 + c
    return value, divided


def tail(z: Array, density: Array, total: Array | float = 1.0) -> Array:
    """`total` Φ(z), given `total` φ(z); relative accuracy in both tails."""
    upper = mills(jnp.abs(z)) * density
    return jnp.where(z > 0.0, total - upper, upper)


def smooth_tail(z: Array, density: Array, total: Array) -> Array:
    """`total` Φ(z), given `total` √(2π) φ(z), within 1e-14 of `total`: for sums that need no small relative error."""
    a = jnp.abs(z)
    w = 1.0 / (a + (SHIFT + SCALE))
    upper = density * (w * estrin(ROUGH, 1.0 - 2.0 * SCALE * w))
    return jnp.where(z > 0.0, total - upper, upper)


def density(z: Array) -> Array:
    """φ(z)."""
    return jnp.exp(-0.5 * z * z) / ROOT_TWO_PI


def _smooth(u: Array) -> Array:
    value = jnp.full_like(u, COEFFICIENTS[-1])
    for c in COEFFICIENTS[-2::-1]:
        value = value * u + c
    return value
