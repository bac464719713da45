"""The compiled programs of American options: the fast iteration for all, the careful one for those it leaves."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jaxtyping import Float

from luna_serving.engines.finance.blackscholes.american import value
from luna_serving.engines.finance.blackscholes.american.boundary import Put, improve, improve_carefully, start
from luna_serving.engines.finance.blackscholes.american.grid import Grid, grid
from luna_serving.engines.finance.blackscholes.cores import on_cores

# Options of one program: its arrays stay in the second-level cache.
ROWS: Final = 128
# The careful iteration is for the few that the fast one leaves.
CAREFUL_ROWS: Final = 16
# Its steps: until no last change of ln B is larger, and at most so many.
CONVERGED: Final = 1e-11
CAREFUL_STEPS: Final = 80

# Of (r - q - σ²/2) √T/σ. Where the drift away from the boundary outruns the volatility so far, more time changes a
# price by less than Φ(-8) = 6e-16, and the points of the integrals would miss the short time in which it is decided.
MOST_DRIFT: Final = 8.0


class Plan(NamedTuple):
    """The fast iteration of some options."""

    grid: Grid
    coarse_steps: int
    fine_steps: int


# r >= q, and q > r.
_FAST: Final = Plan(grid(4, 12, 8, 12, 64), 5, 6)
_YIELDING: Final = Plan(grid(2, 20, 8, 14, 64), 4, 3)
_CAREFUL: Final = grid(4, 20, 24, 24, 192)
_CAREFULLY_YIELDING: Final = Plan(grid(2, 32, 16, 24, 128), 4, 9)
# σ√T (with q > r, where the nodes are in √τ, the second), and (q - r + σ²/2) √T/σ, beyond which more nodes and points
# are needed, although the iteration settles.
MOST_TOTAL: Final = 1.5
MOST_YIELDING_TOTAL: Final = 0.8
MOST_PULL: Final = 4.0
# r √T/σ beyond which, with r >= q, equation FP-A may not converge, and an error of ln B weighs more in the price.
MOST_RATE: Final = 0.8
# A last change of ln B beyond which an option is solved carefully: its price might be 1e-8 off. With q > r, and where
# σ√T > 1, so that the same change weighs more.
SETTLED: Final = 1e-5
SETTLED_YIELDING: Final = 2e-6
SETTLED_LONG: Final = 1e-6

Row = Float[np.ndarray, " rows"]


class Valued(NamedTuple):
    """Answers of puts with strike 1."""

    price: Row
    boundary: Row
    """B(T)."""
    delta: Row
    """NaN without Greeks, as the next two."""
    gamma: Row
    theta: Row


@dataclass(frozen=True, slots=True)
class Programs:
    """The programs of one iteration, for blocks of `rows` options."""

    rows: int
    solve: Callable[..., Any]
    """y at the nodes, its last change, the price and B(T)."""
    greeks: Callable[..., Any]

    def valued(self, p: Put, *, greeks: bool) -> tuple[Valued, Row]:
        """Value at most `rows` options; also the largest last change of ln B."""
        count = len(p.spot)
        p = Put(*(np.pad(np.asarray(each, float), (0, self.rows - count), mode="edge") for each in p))
        y, change, price, b = self.solve(p)
        derived = self.greeks(p, y, price) if greeks else [np.full(count, np.nan)] * 3
        return Valued(*(np.asarray(each)[:count] for each in (price, b, *derived))), np.asarray(change)[:count]


@dataclass(frozen=True, slots=True)
class Solver:
    """Programs of the fast iteration with r >= q and with q > r, and of the careful ones."""

    fast: Programs
    yielding: Programs
    careful: Programs
    carefully_yielding: Programs

    def solve(self, p: Put, cores: int = 1, *, greeks: bool = True) -> Valued:
        """Value any number of puts with r >= 0, whose exercise may be worth while, on so many cores."""
        p, count = _shortened(p), len(p.spot)
        found, change = Valued(*(np.empty(count) for _ in Valued._fields)), np.empty(count)

        def solve(block: tuple[Programs, np.ndarray]) -> None:
            programs, rows = block
            valued, change[rows] = programs.valued(_part(p, rows), greeks=greeks)
            _put(found, rows, valued)

        def solve_all(rows: np.ndarray, programs: Programs, of_yielding: Programs) -> None:
            yielding = (p.dividend_yield > p.rate)[rows]
            blocks = [(programs, each) for each in _blocks(rows[~yielding], programs.rows)]
            blocks += [(of_yielding, each) for each in _blocks(rows[yielding], of_yielding.rows)]
            on_cores(cores, solve, blocks)

        hard = _hard(p)
        solve_all(np.flatnonzero(~hard), self.fast, self.yielding)
        hard[~hard] = ~(change <= _settled(p))[~hard]
        solve_all(np.flatnonzero(hard), self.careful, self.carefully_yielding)
        return found


def compiled() -> Solver:
    """Compile all programs."""
    return Solver(
        _programs(ROWS, partial(_solve_fast, _FAST), _FAST.grid),
        _programs(ROWS, partial(_solve_fast, _YIELDING), _YIELDING.grid),
        _programs(CAREFUL_ROWS, _solve_carefully, _CAREFUL),
        _programs(CAREFUL_ROWS, partial(_solve_fast, _CAREFULLY_YIELDING), _CAREFULLY_YIELDING.grid),
    )


def _programs(rows: int, solve: Callable[..., Any], of_grid: Grid) -> Programs:
    row = jax.ShapeDtypeStruct((rows,), jnp.float64)  # type: ignore[no-untyped-call]
    nodes = jax.ShapeDtypeStruct((len(of_grid.time), rows), jnp.float64)  # type: ignore[no-untyped-call]
    p = Put(*[row] * 5)
    return Programs(
        rows,
        jax.jit(solve).lower(p).compile(),
        jax.jit(partial(value.greeks, of_grid)).lower(p, nodes, row).compile(),
    )


def _solve_fast(plan: Plan, p: Put) -> tuple[Array, ...]:
    of_grid = plan.grid
    y = _repeated(plan.coarse_steps, partial(improve, of_grid, of_grid.coarse, p), start(of_grid, p))
    step = partial(improve, of_grid, of_grid.fine, p)
    return _finished(of_grid, p, step, _repeated(plan.fine_steps - 1, step, y))


def _solve_carefully(p: Put) -> tuple[Array, ...]:
    step = partial(improve_carefully, _CAREFUL, _CAREFUL.fine, p)

    def going(state: tuple[Array, Array, Array]) -> Array:
        count, _, change = state
        return (count < CAREFUL_STEPS - 1) & jnp.any(change > CONVERGED)

    def again(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        count, before, change = state
        # What has converged stays, so that no answer depends on the other rows.
        y = jnp.where(change > CONVERGED, step(before), before)
        return count + 1, y, jnp.where(change > CONVERGED, jnp.max(jnp.abs(y - before), axis=0), change)

    begin = (jnp.zeros((), int), start(_CAREFUL, p), jnp.full_like(p.spot, jnp.inf))
    return _finished(_CAREFUL, p, step, jax.lax.while_loop(going, again, begin)[1])


def _repeated(steps: int, step: Callable[[Array], Array], y: Array) -> Array:
    found: Array = jax.lax.fori_loop(0, steps, lambda _, y: step(y), y)
    return found


def _finished(of_grid: Grid, p: Put, step: Callable[[Array], Array], before: Array) -> tuple[Array, ...]:
    y = step(before)
    change = jnp.max(jnp.abs(y - before), axis=0)
    return y, change, value.price(of_grid, p, y), value.boundary(p, y)


def _shortened(p: Put) -> Put:
    drift = p.rate - p.dividend_yield - 0.5 * p.volatility**2
    enough = (MOST_DRIFT * p.volatility / np.where(drift > 0.0, drift, 1.0)) ** 2
    return p._replace(expiry=np.where(drift > 0.0, np.minimum(p.expiry, enough), p.expiry))


def _hard(p: Put) -> np.ndarray:
    root, yielding = np.sqrt(p.expiry), p.dividend_yield > p.rate
    pull = (p.dividend_yield - p.rate + 0.5 * p.volatility**2) * root / p.volatility
    found: np.ndarray = p.volatility * root > np.where(yielding, MOST_YIELDING_TOTAL, MOST_TOTAL)
    found |= (pull > MOST_PULL) | (~yielding & (p.rate * root > MOST_RATE * p.volatility))
    return found


def _settled(p: Put) -> np.ndarray:
    long = p.volatility * np.sqrt(p.expiry) > 1.0
    return np.where(p.dividend_yield > p.rate, SETTLED_YIELDING, np.where(long, SETTLED_LONG, SETTLED))


def _blocks(rows: np.ndarray, size: int) -> list[np.ndarray]:
    return [rows[i : i + size] for i in range(0, rows.size, size)]


def _put(found: Valued, rows: np.ndarray, part: Valued) -> None:
    for column, each in zip(found, part, strict=True):
        column[rows] = each


def _part(p: Put, rows: np.ndarray) -> Put:
    return Put(*(each[rows] for each in p))
