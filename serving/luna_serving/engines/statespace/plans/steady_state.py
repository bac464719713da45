"""Filtered means once the gain no longer changes: a linear recurrence with constant coefficients, parallel in time.

    a[t] = Φ a[t-1] + K y[t] + b

L steps at once are one matrix: the L means of a block are those from zero, a product of the block's observations,
and the response to the state before the block. The states before the blocks follow the same recurrence, L times
shorter, with Φ^L; so the whole is a logarithmic number of large matrix products, in which all blocks and all series
are rows. It is exact (no overlap, no forgetting is assumed) and compiles nothing. Series-major in and out.
"""

from concurrent.futures import Executor
from typing import Final

import numpy as np

from luna_serving.engines.statespace.plans.memory import Floats
from luna_serving.engines.statespace.plans.threads import on_threads

# Steps in a block of one observed element: 4 n (L + n) / L multiplications per step against loops of length T / L.
BLOCK: Final = 8
# Multiplications of one product. OpenBLAS starts threads of its own above 2^18; they wait for each other by spinning,
# which on a busy machine made a product 100 times as slow. What is read and written stays in the second cache, too.
PRODUCT: Final = 1 << 18

Piece = tuple[slice, slice]  # series, blocks


def steady_means(
    phi: Floats, gain: Floats, offset: Floats, y: Floats, start: Floats, *, pool: Executor | None = None
) -> Floats:
    """Filtered means `[batch, time, n]`, in the number format of y.

    Args:
        phi: Φ = (I - K Z) T `[n, n]`.
        gain: K `[n, m]`.
        offset: b `[n]`.
        y: `[batch, time, m]`, C-contiguous, nothing missing.
        start: the filtered mean before the first row `[batch, n]`.
        pool: where the products run; None is here.
    """
    inputs = np.ascontiguousarray(y)
    dtype = inputs.dtype
    means = np.empty((*inputs.shape[:2], len(phi)), dtype)
    _fill(phi, gain, offset, inputs, start.astype(dtype), means, pool)
    return means


def _fill(
    phi: Floats, gain: Floats, offset: Floats, y: Floats, start: Floats, means: Floats, pool: Executor | None
) -> None:
    """Write the means of all rows; coefficients stay in float64 however deep."""
    batch, length, m = y.shape
    n = len(phi)
    blocks = length // BLOCK if length >= 4 * BLOCK else 0
    covered = blocks * BLOCK
    if blocks:
        weights, constant = response(phi, gain, offset)
        rows = y[:, :covered].reshape(batch, blocks, BLOCK * m)
        ends = np.empty((batch, blocks, n), y.dtype)
        last = weights[: BLOCK * m, -n:].astype(y.dtype)
        pieces = _pieces(batch, blocks, weights.size)
        on_threads(pool, lambda piece: np.matmul(rows[piece], last, out=ends[piece]), pieces)
        before = np.empty((batch, blocks, n), y.dtype)
        before[:, 0] = start
        phi_block = weights[BLOCK * m :, -n:].T
        _fill(phi_block, np.eye(n), constant[-n:], ends[:, :-1], start, before[:, 1:], pool)
        _products(rows, before, weights.astype(y.dtype), constant.astype(y.dtype), means[:, :covered], pool)
    _one_by_one(phi, gain, offset, y[:, covered:], means[:, covered - 1] if blocks else start, means[:, covered:])


def response(phi: Floats, gain: Floats, offset: Floats) -> tuple[Floats, Floats]:
    """A block's means, side by side, as a function of its inputs and the state before it.

    Returns weights `[BLOCK m + n, BLOCK n]`, to be multiplied from the right, and a constant `[BLOCK n]`.
    """
    n, m = gain.shape
    weights = np.zeros((BLOCK * m + n, BLOCK, n))
    constant = np.zeros((BLOCK, n))
    latest, shift = np.zeros((BLOCK * m + n, n)), np.zeros(n)
    latest[BLOCK * m :] = np.eye(n)
    for step in range(BLOCK):
        latest, shift = latest @ phi.T, phi @ shift + offset
        latest[step * m : (step + 1) * m] = gain.T
        weights[:, step], constant[step] = latest, shift
    return weights.reshape(-1, BLOCK * n), constant.reshape(-1)


def _products(
    rows: Floats, before: Floats, weights: Floats, constant: Floats, means: Floats, pool: Executor | None
) -> None:
    """The means of all blocks from their inputs and the states before them, some blocks at a time."""
    shifted = bool(constant.any())

    def work(piece: Piece) -> None:
        here = rows[piece]
        stacked = np.concatenate([here, before[piece]], axis=2)
        product = stacked.reshape(-1, stacked.shape[2]) @ weights
        if shifted:
            product += constant
        shape = (*here.shape[:2], BLOCK, before.shape[2])
        steps = slice(piece[1].start * BLOCK, piece[1].start * BLOCK + here.shape[1] * BLOCK)
        means[piece[0], steps] = product.reshape(shape).reshape(shape[0], -1, shape[3])

    on_threads(pool, work, _pieces(rows.shape[0], rows.shape[1], weights.size))


def _pieces(batch: int, blocks: int, multiplications: int) -> list[Piece]:
    """Some series by some blocks at a time; each block costs that many multiplications."""
    most = max(1, PRODUCT // multiplications)
    several = max(1, most // blocks)
    return [
        (slice(series, min(series + several, batch)), slice(block, min(block + most, blocks)))
        for series in range(0, batch, several)
        for block in range(0, blocks, most)
    ]


def _one_by_one(phi: Floats, gain: Floats, offset: Floats, y: Floats, start: Floats, means: Floats) -> None:
    latest = start
    turned, weights, shift = phi.T.astype(y.dtype), gain.T.astype(y.dtype), offset.astype(y.dtype)
    for t in range(y.shape[1]):
        latest = latest @ turned + y[:, t] @ weights + shift
        means[:, t] = latest
