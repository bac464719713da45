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
# The careful iteration is for the few that the fast one leaves.
CAREFUL_ROWS: Final = 16
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
    """Programs for `ROWS` options, and for `CAREFUL_ROWS`."""

    start: Callable[..., Any]
    coarse: Callable[..., Any]
    fine: Callable[..., Any]
    values: Callable[..., Any]
    start_carefully: Callable[..., Any]
    careful: Callable[..., Any]
    values_carefully: Callable[..., Any]

    def solve(self, p: Put) -> Valued:
        """Value any number of puts with r >= 0, whose exercise may be worth while."""
        count = len(p.spot)
        found, change = _empty(count), np.empty(count)
        for begin in range(0, count, ROWS):
            part = slice(begin, begin + ROWS)
            valued, change[part] = self._fast(_part(p, part), min(ROWS, count - begin))
            _put(found, part, valued)
        left = np.flatnonzero(~(change <= SETTLED))
        for begin in range(0, left.size, CAREFUL_ROWS):
            rows = left[begin : begin + CAREFUL_ROWS]
            _put(found, rows, self._carefully(_part(p, rows), rows.size))
        return found

    def _fast(self, p: Put, count: int) -> tuple[Valued, Row]:
        p = _padded(p, ROWS)
        b = self.start(p)
        for _ in range(COARSE_STEPS):
            b = self.coarse(p, b)
        for _ in range(FINE_STEPS):
            before, b = b, self.fine(p, b)
        change = np.abs(np.log(np.asarray(b) / np.asarray(before))).max(axis=0)
        return _valued(self.values(p, b), b, count), change[:count]

    def _carefully(self, p: Put, count: int) -> Valued:
        p = _padded(p, CAREFUL_ROWS)
        b = self.start_carefully(p)
        for _ in range(CAREFUL_STEPS):
            b = self.careful(p, b)
        return _valued(self.values_carefully(p, b), b, count)


def compiled() -> Solver:
    """Compile all programs."""
    fast, careful = grid(*_FAST), grid(*_CAREFUL)

    def of(function: Callable[..., Any], *shapes: Any) -> Callable[..., Any]:  # noqa: ANN401  pytrees
        program: Callable[..., Any] = jax.jit(function).lower(*shapes).compile()
        return program

    def shapes(of_grid: Grid, rows: int) -> tuple[Put, jax.ShapeDtypeStruct]:
        row = jax.ShapeDtypeStruct((rows,), jnp.float64)  # type: ignore[no-untyped-call]
        nodes = jax.ShapeDtypeStruct((len(of_grid.xi), rows), jnp.float64)  # type: ignore[no-untyped-call]
        return Put(row, row, row, row, row), nodes

    many, few = shapes(fast, ROWS), shapes(careful, CAREFUL_ROWS)

    return Solver(
        start=of(partial(start, fast), many[0]),
        coarse=of(partial(improve, fast, fast.coarse), *many),
        fine=of(partial(improve, fast, fast.fine), *many),
        values=of(partial(values, fast), *many),
        start_carefully=of(partial(start, careful), few[0]),
        careful=of(partial(improve_carefully, careful, careful.fine), *few),
        values_carefully=of(partial(values, careful), *few),
    )


def _valued(values_of: Sequence[Any], b: Any, count: int) -> Valued:  # noqa: ANN401  of JAX
    price, delta, gamma, theta = (np.asarray(each)[:count] for each in values_of)
    return Valued(price, delta, gamma, theta, np.asarray(b[0])[:count])


def _empty(count: int) -> Valued:
    return Valued(*(np.empty(count) for _ in range(5)))


def _put(found: Valued, at: Any, part: Valued) -> None:  # noqa: ANN401  a slice, or indices
    for column, each in zip(found, part, strict=True):
        column[at] = each


def _part(p: Put, at: Any) -> Put:  # noqa: ANN401  a slice, or indices
    return Put(*(each[at] for each in p))


def _padded(p: Put, rows: int) -> Put:
    """So many rows, the last one repeated."""
    return Put(*(np.pad(np.asarray(each, float), (0, rows - len(each)), mode="edge") for each in p))
