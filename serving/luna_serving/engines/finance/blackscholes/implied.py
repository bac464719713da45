"""Implied total volatility of normalised prices: Jäckel, "Let's Be Rational" (2015), from its mathematics.

The first guess (section 4) interpolates the inverse of b by rational cubics between three tangent points, and maps of b
that straighten its tails; two steps of Householder's method of order 4 (section 5) follow, each on an objective that is
nearly linear on its branch. All branches are computed for each row and selected: no flow depends on data.

The stages are compiled one by one (`STEPS` times `step`): as one program, XLA would compute b in each of 83 loops.
"""

from typing import Any, Final, NamedTuple

import jax.numpy as jnp
from jax import Array

from luna_serving.engines.finance.blackscholes.logarithm import log
from luna_serving.engines.finance.blackscholes.mills import ROOT_TWO_PI, density, mills
from luna_serving.engines.finance.blackscholes.normalised import normalised_black, slope
from luna_serving.engines.finance.blackscholes.quantile import lower_quantile
from luna_serving.engines.finance.blackscholes.rational_cubic import Ends, interpolated, parameter

STEPS: Final = 2
ROOT_THREE: Final = 1.7320508075688772
# 2 π / (3 √3), of the lower map.
LOWER: Final = 1.2091995761561452
TINY: Final = 1e-300
LOG_HALF: Final = -0.6931471805599453


class Centre(NamedTuple):
    """The inflection point of b, and the foot of its tangent on the row's side: at 0, or at the supremum."""

    s_c: Any
    b_c: Any
    s_e: Any


def centre(beta: Array, x: Array, half: Array) -> Centre:
    """Where b is inflected, s_c = √(2|x|), and the tangent's foot.

    Args:
        beta: the price, in (0, half).
        x: < 0; at the money, a tiny negative number.
        half: e^(x/2), the supremum of b.
    """
    s_c = jnp.sqrt(-2.0 * x)
    b_c = normalised_black(x, s_c, half)
    v_c = slope(x, s_c)
    s_e = jnp.where(beta < b_c, s_c - b_c / v_c, s_c + (half - b_c) / v_c)
    return Centre(s_c, b_c, jnp.maximum(s_e, 1e-3 * s_c))


def mapped(beta: Array, x: Array, at: Centre, b_e: Array, half: Array) -> tuple[Array, Array]:
    """The guess where b is between the foot and the inflection point; else the logarithm of Φ of the mapped guess.

    On each branch a function f of b is interpolated, with slopes at both ends and a curvature at one:

    - 2, 3 (between foot and inflection point): s itself; its curvature at the inflection point is 0;
    - 1 (below the lower foot): f = 2π|x|/(3√3) Φ(-|x|/(√3 s))³, from 0 with slope 1, its curvature that at the foot;
    - 4 (above the upper foot): f = Φ(-s/2), down to 0 with slope -1/2, its curvature that at the foot.

    Returns:
        s on branches 2 and 3 (else meaningless); ln Φ(..) on 1 and 4 (else 0).
    """
    s_c, b_c, s_e = at
    below = beta < b_c
    v_c, v_e = slope(x, s_c), jnp.maximum(slope(x, s_e), TINY)
    zero, one = jnp.zeros_like(beta), jnp.ones_like(beta)
    near = jnp.where(below, beta >= b_e, beta <= b_e)
    low = below & ~near

    z = x / (ROOT_THREE * s_e)
    y, w = z * z, (x / s_e) ** 2
    to_map = jnp.where(below, -z, 0.5 * s_e)
    m = mills(to_map)
    phi = m * density(to_map)
    f_low = LOWER * -x * phi**3
    first_low = 2.0 * jnp.pi * y * phi**2 * jnp.exp(y + 0.125 * s_e * s_e)
    second_low = first_low * ((2.0 * jnp.sqrt(y) / m - 2.0 - 2.0 * y) / s_e + 0.25 * s_e) / v_e
    first_high = -0.5 * jnp.exp(0.5 * w)
    second_high = -first_high * w / (s_e * v_e)

    ends = Ends(
        xl=jnp.where(near, jnp.where(below, b_e, b_c), jnp.where(below, zero, b_e)),
        xr=jnp.where(near, jnp.where(below, b_c, b_e), jnp.where(below, b_e, half)),
        yl=jnp.where(near, jnp.where(below, s_e, s_c), jnp.where(below, zero, phi)),
        yr=jnp.where(near, jnp.where(below, s_c, s_e), jnp.where(below, f_low, zero)),
        dl=jnp.where(near, 1.0 / jnp.where(below, v_e, v_c), jnp.where(below, one, first_high)),
        dr=jnp.where(near, 1.0 / jnp.where(below, v_c, v_e), jnp.where(below, first_low, -0.5 * one)),
    )
    curvature = jnp.where(near, zero, jnp.where(below, second_low, second_high))
    # At the inflection point on branches 2 and 3, at the foot on 1 and 4: on the right below, on the left above.
    f = interpolated(beta, ends, parameter(ends, curvature, at_left=~below))
    # Where rounding lets the interpolant fall to 0, the line to the end of the branch.
    f = jnp.where(f > 0.0, f, jnp.where(low, f_low * beta / jnp.maximum(b_e, TINY), 0.5 * (half - beta)))
    log_f = log(jnp.clip(jnp.where(low, f / (LOWER * -x), f), TINY, None))
    return f, jnp.where(near, 0.0, jnp.minimum(jnp.where(low, log_f / 3.0, log_f), LOG_HALF))


def guess(f: Array, log_p: Array, x: Array, beta: Array, b_c: Array) -> Array:
    """The first guess of s, within 10 %, from `mapped`."""
    z = jnp.minimum(lower_quantile(jnp.minimum(log_p, LOG_HALF)), -1e-8)
    far = jnp.where(beta < b_c, x / (ROOT_THREE * z), -2.0 * z)
    return jnp.where(log_p < 0.0, far, f)


def step(s: Array, b: Array, beta: Array, x: Array, half: Array, b_c: Array) -> Array:
    """One step of Householder's method of order 4, on 1/ln b, b or ln(half - b) (Jäckel 2015, section 5).

    Args:
        s: the last estimate.
        b: the price at s.
        beta: the price that is wanted.
        x: the moneyness.
        half: e^(x/2).
        b_c: the price at the inflection point.
    """
    low = beta < b_c
    # The upper objective where more than half of the supremum is reached.
    high = beta > jnp.maximum(b_c, 0.5 * half)
    log_beta = log(jnp.maximum(beta, TINY))
    h, t = x / s, 0.5 * s
    b = jnp.maximum(b, TINY)
    b1 = jnp.maximum(jnp.exp(-0.5 * (h * h + t * t)) / ROOT_TWO_PI, TINY)
    h2 = h * h / s - 0.25 * s
    h3 = h2 * h2 - 3.0 * (h / s) ** 2 - 0.25

    log_b = log(b)
    relative = b1 / b
    nu_low = (log_beta - log_b) * (log_b / log_beta) / relative
    inverse = 1.0 / log_b
    low2 = h2 - relative * (1.0 + 2.0 * inverse)
    low3 = (
        h3 + 2.0 * relative**2 * (1.0 + 3.0 * inverse * (1.0 + inverse)) - 3.0 * h2 * relative * (1.0 + 2.0 * inverse)
    )

    left = jnp.maximum(half - b, TINY)
    over = b1 / left
    nu_high = log(left / jnp.maximum(half - beta, TINY)) / over
    high2 = h2 + over
    high3 = h3 + over * (2.0 * over + 3.0 * h2)

    nu = jnp.where(low, nu_low, jnp.where(high, nu_high, (beta - b) / b1))
    c2 = jnp.where(low, low2, jnp.where(high, high2, h2))
    c3 = jnp.where(low, low3, jnp.where(high, high3, h3))
    change = nu * (1.0 + 0.5 * c2 * nu) / (1.0 + nu * (c2 + c3 * nu / 6.0))
    change = jnp.where(jnp.isfinite(change), change, 0.0)
    return jnp.maximum(s + jnp.maximum(change, -0.5 * s), TINY)
