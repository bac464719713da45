"""The exponential function of numbers that do not overflow, in vector instructions.

XLA's `exp` of float64 also handles overflow, infinities and NaN, and takes two and a half times as long. Here
x = n ln 2 + f with |f| <= ln(2)/2, and e^x = 2^n P(f), P the Chebyshev interpolant of degree 10.
"""

from typing import Final

import jax
import jax.numpy as jnp
from jax import Array

from luna_serving.engines.finance.blackscholes.logarithm import HIGH, LOW
from luna_serving.engines.finance.blackscholes.polynomial import estrin

# e^LEAST is a normal number, and 0 for all that is added up.
LEAST: Final = -700.0
# A sum of this number and an integer has the integer in its lowest bits.
ROUNDING: Final = 1.5 * 2.0**52
# Of the exponent of float64, whose mantissa has 52 bits.
BIAS: Final = 1023
# P in powers of f, for |f| <= 0.3466, rounded from 50 digits: 3e-16 off.
COEFFICIENTS: Final = (
    1.0,
    1.0000000000000067,
    0.5000000000000006,
    0.16666666666554314,
    0.041666666666573066,
    0.008333333385699212,
    0.001388888893251478,
    0.00019841170230570286,
    2.480150431378554e-05,
    2.764019739169484e-06,
    2.7626371065696354e-07,
)


def exp(x: Array) -> Array:
    """e^x within 4 ulp for x <= 700; e^LEAST below LEAST."""
    x = jnp.maximum(x, LEAST)
    # Not the difference of shifted numbers, which XLA would simplify.
    n = jax.lax.round(x * (1.0 / (HIGH + LOW)), jax.lax.RoundingMethod.TO_NEAREST_EVEN)
    bits = jax.lax.bitcast_convert_type(n + ROUNDING, jnp.int64)
    power = jax.lax.bitcast_convert_type((bits + BIAS) << 52, jnp.float64)
    f = (x - n * HIGH) - n * LOW
    return estrin(COEFFICIENTS, f) * power
