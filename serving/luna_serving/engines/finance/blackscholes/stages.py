"""The compiled programs of European rows, for one size.

Each stage is a program of its own: XLA's CPU backend would otherwise compute what several results need in each of their
loops (docs/decisions/0047).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from luna_serving.engines.finance.blackscholes import european, implied
from luna_serving.engines.finance.blackscholes.european import Contract
from luna_serving.engines.finance.blackscholes.normalised import normalised_black

Column = Float[np.ndarray, " rows"]
# At the money, where the inflection point is at 0.
NEAR_ZERO: Final = -1e-200


@dataclass(frozen=True, slots=True)
class Stages:
    """Programs for columns of `size` rows."""

    size: int
    price: Callable[..., Any]
    densities: Callable[..., Any]
    greeks: Callable[..., Any]
    normalise: Callable[..., Any]
    black: Callable[..., Any]
    centre: Callable[..., Any]
    mapped: Callable[..., Any]
    guess: Callable[..., Any]
    step: Callable[..., Any]

    def all_greeks(self, c: Contract, volatility: Column, value: Any, *, forward: bool) -> Mapping[str, Any]:  # noqa: ANN401  of JAX
        """All Greeks, given the prices."""
        found: Mapping[str, Any] = self.greeks(c, volatility, value, self.densities(c, volatility), np.bool_(forward))
        return found

    def implied_total(self, c: Contract, value: Column) -> tuple[Any, Any, Any]:
        """σ√T, the normalised prices, and their supremum."""
        beta, x, half = self.normalise(c, value)
        at = self.centre(beta, x, half)
        b_e = self.black(x, at.s_e, half)
        s = self.guess(*self.mapped(beta, x, at, b_e, half), x, beta, at.b_c)
        for _ in range(implied.STEPS):
            s = self.step(s, self.black(x, s, half), beta, x, half, at.b_c)
        return s, beta, half


def compiled(size: int) -> Stages:
    """Compile all programs for a size."""
    row = jax.ShapeDtypeStruct((size,), jnp.float64)  # type: ignore[no-untyped-call]
    flag = jax.ShapeDtypeStruct((), jnp.bool_)  # type: ignore[no-untyped-call]
    c = Contract(row, row, row, row, row, row)

    def of(function: Callable[..., Any], *shapes: Any) -> Callable[..., Any]:  # noqa: ANN401  pytrees
        program: Callable[..., Any] = jax.jit(function).lower(*shapes).compile()
        return program

    densities = european.Densities(*[row] * 7)
    at = implied.Centre(row, row, row)
    return Stages(
        size,
        price=of(european.price, c, row),
        densities=of(european.densities, c, row),
        greeks=of(european.greeks, c, row, row, densities, flag),
        normalise=of(_normalised, c, row),
        black=of(normalised_black, row, row, row),
        centre=of(implied.centre, row, row, row),
        mapped=of(implied.mapped, row, row, at, row, row),
        guess=of(implied.guess, row, row, row, row, row),
        step=of(implied.step, *[row] * 6),
    )


def _normalised(c: Contract, value: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    beta, m = european.normalised_price(c, value)
    return beta, jnp.minimum(m.x, NEAR_ZERO), m.half
