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
from luna_serving.engines.finance.blackscholes.american.boundary import Put, improve, improve_carefully, moved, start
from luna_serving.engines.finance.blackscholes.american.grid import Grid, Level, grid
from luna_serving.engines.finance.blackscholes.cores import on_cores

# Options of one program: with fewer, the calls of its parts take longer, and with more a small rest does.
ORDINARY_ROWS: Final = 128
ROWS: Final = 64
# The careful iteration is for the few that the fast one leaves.
CAREFUL_ROWS: Final = 16
# Its steps at each level: until no last change of ln B is larger, and at most so many.
NEARLY_CONVERGED: Final = 1e-6
CONVERGED: Final = 1e-11
CAREFUL_STEPS: Final = 80

# Of (r - q - σ²/2) √T/σ. Where the drift away from the boundary outruns the volatility so far, more time changes a
# price by less than Φ(-8) = 6e-16, and the points of the integrals would miss the short time in which it is decided.
MOST_DRIFT: Final = 8.0

# r >= q, and q > r.
_ORDINARY: Final = grid(4, ((11, 6, 6), (11, 10, 3)), 96)
_ORDINARY_YIELDING: Final = grid(2, ((14, 6, 4), (14, 10, 3)), 48)
_FAST: Final = grid(4, ((12, 8, 5), (12, 12, 6)), 96)
_YIELDING: Final = grid(2, ((20, 8, 4), (20, 14, 3)), 64)
_CAREFUL: Final = grid(4, ((14, 10, CAREFUL_STEPS), (20, 24, CAREFUL_STEPS)), 192)
_CAREFULLY_YIELDING: Final = grid(2, ((32, 16, 4), (32, 24, 9)), 128)
# σ√T (with q > r, where the nodes are in √τ, the second), and (q - r + σ²/2) √T/σ, beyond which more nodes and points
# are needed, although the iteration settles.
MOST_TOTAL: Final = 1.5
MOST_YIELDING_TOTAL: Final = 0.8
MOST_PULL: Final = 4.0
# r √T/σ beyond which, with r >= q, equation FP-A may not converge, and an error of ln B weighs more in the price.
MOST_RATE: Final = 0.8
# σ√T, r√T/σ and q√T/σ up to which fewer nodes and points are enough, with q > r only where r/q is small, too.
MOST_ORDINARY_TOTAL: Final = 0.75
MOST_ORDINARY_RATE: Final = 0.5
MOST_ORDINARY_RATIO: Final = 0.5
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
        if count < self.rows:
            p = Put(*(np.pad(each, (0, self.rows - count), mode="edge") for each in p))
        y, change, price, b = self.solve(p)
        derived = self.greeks(p, y, price) if greeks else [np.full(count, np.nan)] * 3
        return Valued(*(np.asarray(each)[:count] for each in (price, b, *derived))), np.asarray(change)[:count]


@dataclass(frozen=True, slots=True)
class Solver:
    """Programs for r >= q and for q > r: with fewer nodes, with more, and the careful ones."""

    ordinary: Programs
    ordinary_yielding: Programs
    fast: Programs
    yielding: Programs
    careful: Programs
    carefully_yielding: Programs

    def solve(self, p: Put, cores: int = 1, *, greeks: bool = True) -> Valued:
        """Value any number of puts with r >= 0, whose exercise may be worth while, on so many cores."""
        p, count = _shortened(p), len(p.spot)
        found, change = Valued(*(np.empty(count) for _ in Valued._fields)), np.full(count, np.inf)

        def solve(block: tuple[Programs, np.ndarray]) -> None:
            programs, rows = block
            valued, change[rows] = programs.valued(_part(p, rows), greeks=greeks)
            _put(found, rows, valued)

        def solve_all(rows: np.ndarray, programs: Programs, of_yielding: Programs) -> None:
            yielding = (p.dividend_yield > p.rate)[rows]
            blocks = [(programs, each) for each in _blocks(rows[~yielding], programs.rows)]
            blocks += [(of_yielding, each) for each in _blocks(rows[yielding], of_yielding.rows)]
            on_cores(cores, solve, blocks)

        hard, settled = _hard(p), _settled(p)
        done = _ordinary(p) & ~hard
        solve_all(np.flatnonzero(done), self.ordinary, self.ordinary_yielding)
        done &= change <= settled
        fast = ~hard & ~done
        solve_all(np.flatnonzero(fast), self.fast, self.yielding)
        hard[fast] = ~(change <= settled)[fast]
        # A block takes as many steps as the slowest of its rows: those that take about as many go together.
        slow = np.abs(p.rate - p.dividend_yield) * np.sqrt(p.expiry) / p.volatility
        careful = np.flatnonzero(hard)
        solve_all(careful[np.argsort(slow[careful], kind="stable")], self.careful, self.carefully_yielding)
        return found


def compiled() -> Solver:
    """Compile all programs."""
    return Solver(
        _programs(ORDINARY_ROWS, _solve_fast, _ORDINARY),
        _programs(ORDINARY_ROWS, _solve_fast, _ORDINARY_YIELDING),
        _programs(ROWS, _solve_fast, _FAST),
        _programs(ROWS, _solve_fast, _YIELDING),
        _programs(CAREFUL_ROWS, _solve_carefully, _CAREFUL),
        _programs(CAREFUL_ROWS, _solve_fast, _CAREFULLY_YIELDING),
    )


def _programs(rows: int, solve: Callable[..., Any], of_grid: Grid) -> Programs:
    row = jax.ShapeDtypeStruct((rows,), jnp.float64)  # type: ignore[no-untyped-call]
    nodes = jax.ShapeDtypeStruct((len(of_grid.levels[-1].time), rows), jnp.float64)  # type: ignore[no-untyped-call]
    p = Put(*[row] * 5)
    return Programs(
        rows,
        jax.jit(partial(solve, of_grid)).lower(p).compile(),
        jax.jit(partial(value.greeks, of_grid)).lower(p, nodes, row).compile(),
    )


def _solve_fast(of_grid: Grid, p: Put) -> tuple[Array, ...]:
    y = before = start(of_grid.levels[0], p)
    for k, level in enumerate(of_grid.levels):
        y = moved(level, y) if k else y
        y, before = _repeated(level, p, y)
    return _finished(of_grid, p, before, y)


def _solve_carefully(of_grid: Grid, p: Put) -> tuple[Array, ...]:
    coarse, fine = of_grid.levels
    y = moved(fine, _converged(coarse, p, start(coarse, p), NEARLY_CONVERGED))
    before = _converged(fine, p, y, CONVERGED)
    return _finished(of_grid, p, before, improve_carefully(fine, p, before))


def _converged(level: Level, p: Put, y: Array, most: float) -> Array:
    def going(state: tuple[Array, Array, Array]) -> Array:
        count, _, change = state
        return (count < level.steps - 1) & jnp.any(change > most)

    def again(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        count, before, change = state
        # What has converged stays, so that no answer depends on the other rows.
        y = jnp.where(change > most, improve_carefully(level, p, before), before)
        return count + 1, y, jnp.where(change > most, jnp.max(jnp.abs(y - before), axis=0), change)

    begin = (jnp.zeros((), int), y, jnp.full_like(p.spot, jnp.inf))
    found: Array = jax.lax.while_loop(going, again, begin)[1]
    return found


def _repeated(level: Level, p: Put, y: Array) -> tuple[Array, Array]:
    """Y after all steps of a level, and before the last."""

    # A loop, also of the last step: XLA fuses less well what follows.
    def again(_: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        return improve(level, p, state[0]), state[0]

    found: tuple[Array, Array] = jax.lax.fori_loop(0, level.steps, again, (y, y))
    return found


def _finished(of_grid: Grid, p: Put, before: Array, y: Array) -> tuple[Array, ...]:
    return y, jnp.max(jnp.abs(y - before), axis=0), value.price(of_grid, p, y), value.boundary(p, y)


def _shortened(p: Put) -> Put:
    drift = p.rate - p.dividend_yield - 0.5 * p.volatility**2
    enough = (MOST_DRIFT * p.volatility / np.where(drift > 0.0, drift, 1.0)) ** 2
    return p._replace(expiry=np.where(drift > 0.0, np.minimum(p.expiry, enough), p.expiry))


def _ordinary(p: Put) -> np.ndarray:
    root, r, q = np.sqrt(p.expiry), p.rate, p.dividend_yield
    most = MOST_ORDINARY_RATE * p.volatility
    found: np.ndarray = (p.volatility * root < MOST_ORDINARY_TOTAL) & (r * root < most) & (q * root < most) & (q >= 0.0)
    found &= (q <= r) | (r < MOST_ORDINARY_RATIO * q)
    return found


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
