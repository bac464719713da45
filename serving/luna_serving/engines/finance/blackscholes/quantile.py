"""The inverse of Φ on (0, 1/2], to some six digits: enough for a first guess.

Formula 26.2.23 of Abramowitz and Stegun (1964), sharpened by one step of Halley's method on ln Φ.
"""

import jax.numpy as jnp
from jax import Array

from luna_serving.engines.finance.blackscholes.logarithm import log
from luna_serving.engines.finance.blackscholes.mills import ROOT_TWO_PI, mills


def lower_quantile(log_p: Array) -> Array:
    """Z <= 0 with ln Φ(z) = log_p <= -ln 2."""
    t = jnp.sqrt(-2.0 * log_p)
    numerator = 2.515517 + t * (0.802853 + t * 0.010328)
    denominator = 1.0 + t * (1.432788 + t * (0.189269 + t * 0.001308))
    z = t - numerator / denominator
    # With g(z) = ln Φ(-z) - log_p and Mills' ratio m: g' = -1/m, g''/g' = 1/m - z.
    z = jnp.maximum(z, 0.0)
    m = mills(z)
    step = m * (log(m / ROOT_TWO_PI) - 0.5 * z * z - log_p)
    return -(z + step / (1.0 + 0.5 * step * (1.0 / m - z)))
