"""A polynomial by Estrin's scheme: its terms do not wait for each other as those of Horner's do."""

from collections.abc import Sequence

import jax.numpy as jnp
from jax import Array


def estrin(coefficients: Sequence[float], x: Array) -> Array:
    """The sum of coefficients[k] x^k."""
    terms = [jnp.full_like(x, each) for each in coefficients]
    power = x
    while len(terms) > 1:
        pairs = [low + high * power for low, high in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[2 * len(pairs) :]
        power = power * power
    return terms[0]
