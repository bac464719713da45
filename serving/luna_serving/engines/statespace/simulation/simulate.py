"""Random paths of a model's states and observations. Pure NumPy: no horizon and no number of draws compiles.

The letters are those of `model.py` (Durbin & Koopman 2012, section 3.1). All draws go through time side by side: one
small matrix product per period takes (state, standard normals) to (next state, observation).
"""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from luna_serving.engines.statespace.model.checks import LARGEST, ModelError
from luna_serving.engines.statespace.model.initial import Start
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.process.deadline import Clock, check, never

Floats = NDArray[np.float64]

# BLAS rounds a product differently for another number of rows. Draws are therefore multiplied in groups of this many,
# the last one filled up with zeros, so that a draw has the same bits however many are asked for. Larger groups are
# faster for thousands of draws and waste memory on a single one.
DRAWS_A_GROUP: Final = 4
# Multiplications between two looks at the deadline: some 20 ms.
CHECK_EVERY: Final = 40_000_000
# Correlations nearer to one than this are one; see `regression`.
TOLD: Final = 1e-12


class Paths(NamedTuple):
    """Draws from a model; not finite where the model overflows float64."""

    states: Floats  # [draws, length, n]
    observations: Floats  # [draws, length, m]


def simulate(
    model: Model,
    length: int,
    draws: int,
    seed: int,
    *,
    initial_state: ArrayLike | None = None,
    series: int = 0,
    out_of_time: Clock = never,
) -> Paths:
    """Draw paths of `length` periods.

    A draw depends on the model, the seed, its own number and `series`, and on nothing else; a longer path begins with
    the shorter one.

    Args:
        model: what to draw from.
        length: periods; at most those that matrices which vary in time cover.
        draws: how many independent paths.
        seed: of all of them, zero or more.
        initial_state: the state of the first period [n], in all draws. NaN: drawn from the start, given the others.
            A state with a diffuse start needs a value here, for its start is no distribution.
        series: which of several sets of draws under one seed.
        out_of_time: looked at between steps.

    Raises:
        ModelError: a diffuse state without a value, too many periods, or a value out of range.
        OutOfTime: the time was over.
    """
    values = np.full(model.states, np.nan) if initial_state is None else _state(initial_state, model.states)
    start = pinned(model.start, values)
    return paths(model, length, start, streams(seed, series, draws), out_of_time)


def streams(seed: int, series: int, draws: int) -> Sequence[Callable[[], np.random.Generator]]:
    """One independent stream a draw, made when it is called; the same for the same seed, series and number."""
    return [partial(_stream, seed, series, draw) for draw in range(draws)]


def _stream(seed: int, series: int, draw: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(series, draw))))


def pinned(start: Start, values: Floats) -> Start:
    """The start given some of its states: their `values` [n], NaN where the state is still to be drawn.

    Raises:
        ModelError: a state is diffuse and has no value.
    """
    fixed, diffuse = ~np.isnan(values), start.diffuse.any(axis=1)
    if (diffuse & ~fixed).any():
        missing = np.flatnonzero(diffuse & ~fixed).tolist()
        raise ModelError(
            "/initial",
            f"is diffuse, which is no distribution to draw from (states {missing}, counted from 0): "
            "give a known or stationary start, or values for these states in initial_state",
        )
    known, free = fixed & ~diffuse, ~fixed
    cov, mean = np.zeros_like(start.cov), np.where(fixed, values, start.mean)
    weights = regression(start.cov, free, known)
    mean[free] += weights @ (values[known] - start.mean[known])
    left = start.cov[np.ix_(free, free)] - weights @ start.cov[np.ix_(known, free)]
    # Of a state that the others determine, the difference leaves only rounding.
    told = np.diagonal(left) <= TOLD * np.diagonal(start.cov)[free]
    cov[np.ix_(free, free)] = np.where(told[:, None] | told, 0.0, left)
    return Start(mean, (cov + cov.T) / 2, np.zeros_like(cov), 0)


def paths(
    model: Model,
    length: int,
    start: Start,
    normals: Sequence[Callable[[], np.random.Generator]],
    out_of_time: Clock = never,
) -> Paths:
    """Draw one path from each stream of random numbers; the diffuse part of the start counts as zero.

    A stream gives n normals for the start, then r + m a period.

    Raises:
        ModelError: the model covers fewer periods.
        OutOfTime: `out_of_time` was true between two steps.
    """
    if model.length is not None and length > model.length:
        raise ModelError(model.varying, f"covers {model.length} periods; the draws have {length}")
    n, m = model.states, model.observed
    draws, groups = len(normals), -(-len(normals) // DRAWS_A_GROUP)
    weights = _Weights(model)
    every = max(1, CHECK_EVERY // (weights.size * (n + m) * groups * DRAWS_A_GROUP))
    # A row: the state, the shocks of the step to the next period, the noise of the observation, and the one that
    # brings in the intercepts.
    flat = np.zeros((length + 1, groups * DRAWS_A_GROUP, weights.size))
    for draw, begin in enumerate(normals):
        check(out_of_time)
        stream = begin()
        flat[0, draw, :n] = stream.standard_normal(n)
        flat[:length, draw, n:-1] = stream.standard_normal((length, weights.size - n - 1))
    flat[:, :, -1] = 1.0
    rows = flat.reshape(length + 1, groups, DRAWS_A_GROUP, weights.size)
    products = np.empty((length, groups, DRAWS_A_GROUP, n + m))
    with np.errstate(over="ignore", invalid="ignore"):
        rows[0, ..., :n] = start.mean + rows[0, ..., :n] @ factor(start.cov).T
        steps = zip(rows, rows[1:], products, weights.over(length), strict=False)
        for t, (row, following, product, matrix) in enumerate(steps):
            if not t % every:
                check(out_of_time)
            np.matmul(row, matrix, out=product)
            following[..., :n] = product[..., :n]
    return Paths(
        np.ascontiguousarray(flat[:length, :draws, :n].swapaxes(0, 1)),
        np.ascontiguousarray(products.reshape(length, -1, n + m)[:, :draws, n:].swapaxes(0, 1)),
    )


def factor(cov: Floats) -> Floats:
    """A with A A' = cov, for covariances [..., n, n] that may be singular.

    From the eigenvectors of the correlations: a direction without variance gets none, where a Cholesky factor would
    not exist, and units that differ by many orders of magnitude cost no digits.
    """
    scale = np.sqrt(np.diagonal(cov, axis1=-2, axis2=-1))
    bound = scale[..., :, None] * scale[..., None, :]
    values, vectors = np.linalg.eigh(cov / np.where(bound > 0, bound, 1.0))
    # The root of a rounding error is far from one: 1e-16 of a variance would be 1e-8 of a standard deviation.
    rounding = values.shape[-1] * np.finfo(np.float64).eps * values[..., -1:]
    roots: Floats = np.sqrt(np.where(values > rounding, values, 0.0))
    product: Floats = scale[..., :, None] * vectors * roots[..., None, :]
    return product


def regression(cov: Floats, free: NDArray[np.bool_], known: NDArray[np.bool_]) -> Floats:
    """What takes the deviations of the `known` elements to the expected ones of the `free` [free, known].

    A pseudo-inverse of the correlations, for a covariance [n, n] may be singular.
    """
    scale = np.sqrt(np.diagonal(cov))
    scale = np.where(scale > 0, scale, 1.0)
    correlation = cov / np.outer(scale, scale)
    inverse = np.linalg.pinv(correlation[np.ix_(known, known)], rcond=TOLD, hermitian=True)
    weights: Floats = correlation[np.ix_(free, known)] @ inverse
    return scale[free, None] * weights / scale[known]


class _Weights:
    """What takes (state, u, e, 1) of a period to (next state, observation), [n + r + m + 1, n + m]."""

    def __init__(self, model: Model) -> None:
        n, r, m = model.states, model.shocks, model.observed
        self.size = n + r + m + 1
        blocks = (
            (slice(0, n), slice(0, n), model.transition),
            (slice(n, n + r), slice(0, n), model.selection @ factor(model.state_cov)),
            (slice(0, n), slice(n, None), model.design),
            (slice(n + r, -1), slice(n, None), factor(model.obs_cov)),
            (slice(-1, None), slice(0, n), model.state_intercept[..., None]),
            (slice(-1, None), slice(n, None), model.obs_intercept[..., None]),
        )
        self._matrix = np.zeros((self.size, n + m))
        for rows, columns, block in blocks:
            self._matrix[rows, columns] = np.swapaxes(block if block.ndim == 2 else block[0], 0, 1)
        self._varying = [(rows, columns, np.swapaxes(b, 1, 2)) for rows, columns, b in blocks if b.ndim == 3]

    def over(self, length: int) -> Iterator[Floats]:
        """The weights of each period; one array, reused."""
        for t in range(length):
            for rows, columns, block in self._varying:
                self._matrix[rows, columns] = block[t]
            yield self._matrix


def _state(value: ArrayLike, n: int) -> Floats:
    """A state [n], NaN where open. Its pointer is that of the request: it is no part of the model."""
    state = np.array(value, dtype=np.float64)
    if state.shape != (n,):
        raise ValueError(f"initial_state must have shape [{n}]; got {list(state.shape)}")
    if np.isinf(state).any() or (np.abs(state[~np.isnan(state)]) > LARGEST).any():
        raise ValueError(f"initial_state must hold finite numbers of at most {LARGEST:g} in size")
    return state
