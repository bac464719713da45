"""Smoothed moments where P|t - G N G' cancels: Rauch, Tung & Striebel's recursion in Joseph's form.

V[t] = (I - J T) P|t (I - J T)' + J (Q + V[t+1]) J' with J = P|t T' P[t+1]⁻¹ adds where the other form subtracts:
with a prior variance of 1e6 on a trend 5e-10 off against 1e-3, and never negative. It inverts P[t+1], and where
that is nearly singular (a state that decays, without noise) each step back multiplies the error of the next V.
So it takes only those rows whose difference has lost digits; they start from the first good V after them.
"""

from typing import Final, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from luna_serving.statespace.recursion import FUSED_STATES, ROUNDING, Params, System, at, matmul, matvec
from luna_serving.statespace.smoother.algebra import covariance, row, transpose
from luna_serving.statespace.smoother.diffuse import Forward

# Pivots of a matrix whose eigenvalues are near 1 or, but for rounding, 0.
HALF_WAY: Final = 1e-3


class Smoothed(NamedTuple):
    """Smoothed moments of each row, or of one."""

    mean: Float[Array, "*time state batch"]
    cov: Float[Array, "*time state state batch"]


def restore(
    system: System,
    forward: Forward,
    doubtful: Bool[Array, "time batch"],
    factors: Float[Array, "time state shock batch"],
    smoothed: Smoothed,
    after: Smoothed,
) -> Smoothed:
    """Compute the doubtful rows of `smoothed` anew, last first; `after` is the row after the last.

    `factors` are the diffuse parts after each observation.
    """
    length = doubtful.shape[0]
    rows = jnp.arange(length, dtype=jnp.int32)
    end = jnp.max(jnp.where(jnp.any(doubtful, axis=1), rows + 1, 0))
    within = row(smoothed, jnp.minimum(end, length - 1))
    following = Smoothed(*(jnp.where(end < length, inner, outer) for inner, outer in zip(within, after, strict=True)))

    def step(run: tuple[Int[Array, ""], Smoothed, Smoothed]) -> tuple[Int[Array, ""], Smoothed, Smoothed]:
        t, following, written = run[0] - 1, run[1], run[2]
        here, doubt, factor, known = row((forward, doubtful, factors, written), t)
        again, valid = _step_back(at(system, t), here, factor, following)
        chosen = Smoothed(
            jnp.where((doubt & valid)[None], again.mean, known.mean),
            jnp.where((doubt & valid)[None, None], again.cov, known.cov),
        )
        placed = (lax.dynamic_update_index_in_dim(all_, now, t, 0) for all_, now in zip(written, chosen, strict=True))
        return t, chosen, Smoothed(*placed)

    _, _, restored = lax.while_loop(lambda run: run[0] > 0, step, (end, following, smoothed))
    return restored


def _step_back(
    params: Params,
    here: Forward,
    factor: Float[Array, "state shock batch"],
    following: Smoothed,
) -> tuple[Smoothed, Bool[Array, " batch"]]:
    """The smoothed moments of this row from those of the next, and whether they tell of every diffuse direction.

    With P|t = P* + κ A A', κ → ∞, J is that of generalised least squares: with W = P*[t+1] + s² b b', b = T A,
    any s (Rao's unified theory), and g = W⁻ b (b' W⁻ b)⁻, J = P*|t T' W⁻ (I - b g') + A g'.
    """
    moved = matmul(params.transition, factor)
    size = jnp.sum(moved * moved, axis=(0, 1))
    spread = jnp.einsum("iib->b", here.following_cov)
    diffuse = size > 0
    # Large enough that b' W⁻ b is near a projection, which tells its rank; not so large that W forgets P*.
    scale = jnp.where(diffuse, jnp.where(spread > 0, 100 * spread, 1.0) / jnp.where(diffuse, size, 1.0), 0.0)
    wide = here.following_cov + scale[None, None] * matmul(moved, transpose(moved))
    cross = matmul(here.filtered_state_cov, transpose(params.transition))
    back = _divide(cross, wide, ROUNDING)
    weighted = transpose(_divide(transpose(moved), wide, ROUNDING))
    told = _divide(weighted, scale[None, None] * matmul(transpose(moved), weighted), HALF_WAY)
    told = transpose(told * scale[None, None])
    back = back - matmul(matmul(back, moved), told) + matmul(factor, told)
    identity = jnp.eye(factor.shape[0], dtype=factor.dtype)[:, :, None]
    forgotten = identity - matmul(back, params.transition)
    left = matmul(forgotten, factor)
    valid = jnp.sum(left * left, axis=(0, 1)) <= 1e-12 * jnp.sum(factor * factor, axis=(0, 1))
    own = matmul(matmul(forgotten, here.filtered_state_cov), transpose(forgotten))
    cov = covariance(own + matmul(matmul(back, params.state_cov + following.cov), transpose(back)))
    return Smoothed(here.filtered_state + matvec(back, following.mean - here.following_state), cov), valid


def _divide(
    left: Float[Array, "row state batch"], cov: Float[Array, "state state batch"], least: float
) -> Float[Array, "row state batch"]:
    """Return left cov⁻¹ by cov = C D C', C unit lower triangular.

    A pivot below `least` of its diagonal entry is a direction without variance, up to rounding, and is left out.
    """
    states = cov.shape[0]
    if states > FUSED_STATES:
        return _divide_by_eigenvalues(left, cov, least)
    lower: dict[tuple[int, int], Array] = {}
    pivots: list[Array] = []
    for j in range(states):
        for i in range(j, states):
            value = cov[i, j] - sum((lower[i, k] * lower[j, k] * pivots[k] for k in range(j)), start=0 * cov[i, j])
            if i == j:
                pivots.append(jnp.where(value > least * cov[j, j], value, 0.0))
            else:
                lower[i, j] = jnp.where(pivots[j] > 0, value / jnp.where(pivots[j] > 0, pivots[j], 1.0), 0.0)
    columns: list[Array] = []
    for j in range(states):
        columns.append(left[:, j] - sum((columns[k] * lower[j, k][None] for k in range(j)), start=0 * left[:, j]))
    inverse = [jnp.where(pivot > 0, 1 / jnp.where(pivot > 0, pivot, 1.0), 0.0) for pivot in pivots]
    columns = [column * each[None] for column, each in zip(columns, inverse, strict=True)]
    for j in reversed(range(states)):
        for k in range(j + 1, states):
            columns[j] = columns[j] - columns[k] * lower[k, j][None]
    return jnp.stack(columns, axis=1)


def _divide_by_eigenvalues(
    left: Float[Array, "row state batch"], cov: Float[Array, "state state batch"], least: float
) -> Float[Array, "row state batch"]:
    """The same for many states, where the loops of C D C' written out would take XLA minutes."""
    diagonal = jnp.einsum("iib->ib", cov)
    scale = jnp.where(diagonal > 0, 1 / jnp.sqrt(jnp.where(diagonal > 0, diagonal, 1.0)), 0.0)
    values, vectors = jnp.linalg.eigh(jnp.moveaxis(cov * scale[:, None] * scale[None], -1, 0))
    inverse = jnp.where(values > least, 1 / jnp.where(values > least, values, 1.0), 0.0)
    turned = jnp.einsum("rib,bij->brj", left * scale[None], vectors)
    return jnp.einsum("brj,bij->rib", turned * inverse[:, None], vectors) * scale[None]
