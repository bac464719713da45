"""Rational cubic interpolation that keeps the shape of its data (Delbourgo and Gregory, 1985; Jäckel 2015, section 4).

Between (xl, yl) and (xr, yr) with slopes dl and dr, with θ = (x - xl)/h, h = xr - xl, and one parameter r > -1:

    y = (yr θ³ + (r yr - h dr) θ²(1-θ) + (r yl + h dl) θ(1-θ)² + yl (1-θ)³) / (1 + (r - 3) θ(1-θ)).

r is set so that the second derivative at one end is a given one, and not below what convexity and monotonicity ask for.
"""

from typing import Final, NamedTuple

import jax.numpy as jnp
from jax import Array

# r at which the interpolant is all but linear, where the data are.
MOST: Final = 1e16
TINY: Final = 2.3e-308
LEAST: Final = -1.0 + 2.0**-26


class Ends(NamedTuple):
    """Abscissae, ordinates and slopes at both ends."""

    xl: Array
    xr: Array
    yl: Array
    yr: Array
    dl: Array
    dr: Array


def parameter(ends: Ends, curvature: Array, *, at_left: Array) -> Array:
    """R for which the second derivative at the left, or else at the right end is `curvature`."""
    rise = (ends.yr - ends.yl) / (ends.xr - ends.xl)
    side = jnp.where(at_left, rise - ends.dl, ends.dr - rise)
    wanted = _ratio(0.5 * (ends.xr - ends.xl) * curvature + (ends.dr - ends.dl), side)
    return jnp.maximum(wanted, _least(ends, rise))


def interpolated(x: Array, ends: Ends, r: Array) -> Array:
    """The interpolant at x."""
    h = ends.xr - ends.xl
    t = (x - ends.xl) / h
    o = 1.0 - t
    cubic = ends.yr * t**3 + (r * ends.yr - h * ends.dr) * t**2 * o
    cubic += (r * ends.yl + h * ends.dl) * t * o**2 + ends.yl * o**3
    value = cubic / (1.0 + (r - 3.0) * t * o)
    return jnp.where(r >= MOST, ends.yr * t + ends.yl * o, value)


def _ratio(numerator: Array, denominator: Array) -> Array:
    unbounded = jnp.where(numerator > 0.0, MOST, LEAST)
    flat = jnp.abs(denominator) <= TINY
    ratio = numerator / jnp.where(flat, 1.0, denominator)
    return jnp.clip(jnp.where(flat, unbounded, ratio), LEAST, MOST)


def _least(ends: Ends, rise: Array) -> Array:
    """The least r of a convex or concave, and monotone, interpolant."""
    monotone = jnp.where(ends.dl * ends.dr >= 0.0, _over(ends.dl + ends.dr, rise), LEAST)
    left, right = rise - ends.dl, ends.dr - rise
    shaped = jnp.where(
        left * right > 0.0,
        jnp.maximum(jnp.abs(_over(ends.dr - ends.dl, right)), jnp.abs(_over(ends.dr - ends.dl, left))),
        LEAST,
    )
    return jnp.clip(jnp.maximum(monotone, shaped), LEAST, MOST)


def _over(numerator: Array, denominator: Array) -> Array:
    zero = denominator == 0.0
    return jnp.where(zero, jnp.where(numerator == 0.0, 0.0, MOST), numerator / jnp.where(zero, 1.0, denominator))
