"""The compiled programs of American options: the fast iteration for all, the careful one for those it leaves."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from luna_serving.engines.finance.blackscholes.american.boundary import Put, improve, improve_carefully, start
from luna_serving.engines.finance.blackscholes.american.grid import Grid, grid
from luna_serving.engines.finance.blackscholes.american.value import values

# Options of one program: its arrays stay in the second-level cache.
ROWS: Final = 128
COARSE_STEPS: Final = 5
FINE_STEPS: Final = 5
CAREFUL_STEPS: Final = 24
# A last change of ln B beyond which an option is solved carefully: the price's error is of its square.
SETTLED: Final = 1e-4
_FAST: Final = (16, 10, 20, 40)
_CAREFUL: Final = (16, 32, 32, 64)

Row = Float[np.ndarray, " rows"]


class Valued(NamedTuple):
    """Answers of puts with strike 1."""

    price: Row
    delta: Row
    gamma: Row
    theta: Row
    boundary: Row
    """B(T)."""


@dataclass(frozen=True, slots=True)
class Solver:
    """Programs for `ROWS` options."""

    start: Callable[..., Any]
    coarse: Callable[..., Any]
    fine: Callable[..., Any]
    values: Callable[..., Any]
    start_carefully: Callable[..., Any]
    careful: Callable[..., Any]
    values_carefully: Callable[..., Any]

    def solve(self, p: Put) -> Valued:
        """Value any number of puts with r >= 0, whose exercise may be worth while."""
        return _in_blocks(p, self._block)

    def _block(self, p: Put) -> Valued:
        b = self.start(p)
        for _ in range(COARSE_STEPS):
            b = self.coarse(p, b)
        for _ in range(FINE_STEPS):
            before, b = b, self.fine(p, b)
        change = np.abs(np.log(np.asarray(b) / np.asarray(before))).max(axis=0)
        valued = _valued(self.values(p, b), b)
        left = np.flatnonzero(~(change <= SETTLED))
        if left.size:
            again = self._carefully(_padded(Put(*(np.asarray(each)[left] for each in p))))
            for column, careful in zip(valued, again, strict=True):
                column[left] = careful[: left.size]
        return valued

    def _carefully(self, p: Put) -> Valued:
        b = self.start_carefully(p)
        for _ in range(CAREFUL_STEPS):
            b = self.careful(p, b)
        return _valued(self.values_carefully(p, b), b)


def compiled() -> Solver:
    """Compile all programs."""
    row = jax.ShapeDtypeStruct((ROWS,), jnp.float64)  # type: ignore[no-untyped-call]
    p = Put(row, row, row, row, row)
    fast, careful = grid(*_FAST), grid(*_CAREFUL)

    def of(function: Callable[..., Any], *shapes: Any) -> Callable[..., Any]:  # noqa: ANN401  pytrees
        program: Callable[..., Any] = jax.jit(function).lower(*shapes).compile()
        return program

    def nodes(of_grid: Grid) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((len(of_grid.xi), ROWS), jnp.float64)  # type: ignore[no-untyped-call]

    return Solver(
        start=of(partial(start, fast), p),
        coarse=of(partial(improve, fast, fast.coarse), p, nodes(fast)),
        fine=of(partial(improve, fast, fast.fine), p, nodes(fast)),
        values=of(partial(values, fast), p, nodes(fast)),
        start_carefully=of(partial(start, careful), p),
        careful=of(partial(improve_carefully, careful, careful.fine), p, nodes(careful)),
        values_carefully=of(partial(values, careful), p, nodes(careful)),
    )


def _valued(values_of: Sequence[Any], b: Any) -> Valued:  # noqa: ANN401  of JAX
    price, delta, gamma, theta = map(np.array, values_of)
    return Valued(price, delta, gamma, theta, np.array(b[0]))


def _in_blocks(p: Put, block: Callable[[Put], Valued]) -> Valued:
    count = len(p.spot)
    found = Valued(*(np.empty(count) for _ in Valued._fields))
    for begin in range(0, count, ROWS):
        size = min(ROWS, count - begin)
        valued = block(_padded(Put(*(each[begin : begin + size] for each in p))))
        for column, part in zip(found, valued, strict=True):
            column[begin : begin + size] = part[:size]
    return found


def _padded(p: Put) -> Put:
    """`ROWS` rows, the last one repeated."""
    return Put(*(np.pad(np.asarray(each, float), (0, ROWS - len(each)), mode="edge") for each in p))
