"""The smoother in the diffuse phase (Durbin & Koopman 2012, section 5.3).

The prediction's covariance is P* + κ P∞, P∞ = A A', κ → ∞, and what later observations say is a series in
1/κ: the score is r + r1 / κ, the information N + N1 / κ + N2 / κ². r and N run as everywhere; this is the
rest, which is zero once no state is diffuse.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from luna_serving.engines.statespace.recursions.filter import Carry
from luna_serving.engines.statespace.recursions.recursion import (
    DIFFUSE_TOLERANCE,
    DiffusePart,
    Innovation,
    Moments,
    Params,
    System,
    at,
    diffuse_gain,
    innovate,
    matmul,
    matvec,
    propagate,
    reveal,
    symmetric,
)
from luna_serving.engines.statespace.recursions.smoother_algebra import (
    between,
    covariance,
    row,
    transpose,
    unexplained,
    write,
)


class Forward(NamedTuple):
    """What the filter answered for a chunk."""

    predicted_state: Float[Array, "time state batch"]  # a
    predicted_state_cov: Float[Array, "time state state batch"]  # P*
    filtered_state: Float[Array, "time state batch"]
    filtered_state_cov: Float[Array, "time state state batch"]
    forecast_error_diffuse_cov: Float[Array, "time batch"]  # F∞


class Factors(NamedTuple):
    """A, P∞ = A A', of each row's prediction and once its observation is folded in; zero out of the phase."""

    before: Float[Array, "time state shock batch"]
    after: Float[Array, "time state shock batch"]


class DiffuseAdjoint(NamedTuple):
    """What the observations after t say about state[t+1] in higher powers of 1/κ."""

    r1: Float[Array, "state batch"]
    n1: Float[Array, "state state batch"]
    n2: Float[Array, "state state batch"]


class _Run(NamedTuple):
    """The loop's variables: rows still to go, the adjoint terms, and the outputs."""

    t: Int[Array, ""]
    adjoint: DiffuseAdjoint
    outputs: dict[str, Array]


class _Replay(NamedTuple):
    """The replay's variables; A and its rank before the observation at t."""

    t: Int[Array, ""]
    factor: Float[Array, "state shock batch"]
    rank: Int[Array, " batch"]
    written: dict[str, Array]


def replay(
    system: System, start: Carry, forward: Forward, y: Float[Array, "time batch"], end: Int[Array, ""]
) -> tuple[Factors, Int[Array, ""]]:
    """Return the diffuse parts, which the filter does not store, and the row where the last phase was over."""

    def still_diffuse(run: _Replay) -> Bool[Array, ""]:
        return (run.t < end) & jnp.any((run.rank > 0) & (run.t < start.left))

    def step(run: _Replay) -> _Replay:
        params = at(system, run.t)
        now, var = row((y, forward.forecast_error_diffuse_cov), run.t)
        part = diffuse_part_of(params, run.factor, var)
        kept, rank = reveal(params, run.factor, run.rank, part, observed=~jnp.isnan(now))
        written = write(run.written, run.t, {"before": run.factor, "after": kept})
        return _Replay(run.t + 1, *propagate(params, kept, rank), written)

    empty = jnp.zeros((y.shape[0], *start.diffuse.shape), start.diffuse.dtype)
    written = {"before": empty, "after": empty}
    run = lax.while_loop(still_diffuse, step, _Replay(jnp.zeros_like(end), start.diffuse, start.rank, written))
    return Factors(**run.written), run.t


def diffuse_part_of(
    params: Params, factor: Float[Array, "state shock batch"], var: Float[Array, " batch"]
) -> DiffusePart:
    """The diffuse part with the filter's own F∞: what it took for zero is zero here too."""
    seen = jnp.any(factor != 0, axis=(0, 1))
    return DiffusePart(matvec(factor, matvec(transpose(factor), params.design)), jnp.where(seen, var, 0.0))


def smooth_diffuse(
    system: System,
    forward: Forward,
    y: Float[Array, "time batch"],
    factors: Factors,
    diffuse_end: Int[Array, ""],
    later: dict[str, Array],
    adjoint: DiffuseAdjoint,
    outputs: dict[str, Array],
) -> tuple[DiffuseAdjoint, dict[str, Array]]:
    """Replace the outputs of series in their diffuse phase; `later` holds r and N after each row."""

    def step(run: _Run) -> _Run:
        t = run.t - 1
        params = at(system, t)
        now, rows, factor, leading = row((y, forward, factors, later), t)
        innovation = innovate(params, Moments(rows.predicted_state, rows.predicted_state_cov), now)
        part = diffuse_part_of(params, factor.before, rows.forecast_error_diffuse_cov)
        # From state[t+1] to state[t] after its observation: T' r and T' N T.
        r, n = matvec(transpose(params.transition), leading["r"]), between(params.transition, leading["n"])
        across = DiffuseAdjoint(
            matvec(transpose(params.transition), run.adjoint.r1),
            between(params.transition, run.adjoint.n1),
            between(params.transition, run.adjoint.n2),
        )
        diffuse = jnp.any(factor.before != 0, axis=(0, 1))
        replaced = {
            name: jnp.where(diffuse.reshape((1,) * (new.ndim - 1) + diffuse.shape), new, row(run.outputs[name], t))
            for name, new in _combine(rows, factor.after, r, n, across).items()
        }
        return _Run(t, _observe(params, innovation, part, r, n, across), write(run.outputs, t, replaced))

    run = lax.while_loop(lambda run: run.t > 0, step, _Run(diffuse_end, adjoint, outputs))
    return run.adjoint, run.outputs


def _combine(
    rows: Forward,
    factor: Float[Array, "state shock batch"],
    r: Float[Array, "state batch"],
    n: Float[Array, "state state batch"],
    across: DiffuseAdjoint,
) -> dict[str, Array]:
    """The smoothed moments where P|t = P*|t + κ A A' for the given A (Durbin & Koopman eq. 5.23 and 5.24)."""
    cov = rows.filtered_state_cov
    mean = rows.filtered_state + matvec(cov, r) + matvec(factor, matvec(transpose(factor), across.r1))
    # A' N1 A projects on the diffuse directions that later observations determine; the rest stays diffuse.
    told = matmul(transpose(factor), across.n1)
    unseen = factor - matmul(factor, matmul(told, factor))
    size = jnp.sum(factor * factor, axis=(0, 1))
    mixed = matmul(factor, matmul(told, cov))
    second = matmul(matmul(factor, between(factor, across.n2)), transpose(factor))
    return {
        "smoothed_state": mean,
        "smoothed_state_cov": covariance(cov - (between(cov, n) + mixed + transpose(mixed) + second)),
        "smoothed_state_diffuse": jnp.sum(unseen * unseen, axis=1) > DIFFUSE_TOLERANCE**2 * size[None],
    }


def _observe(
    params: Params,
    innovation: Innovation,
    part: DiffusePart,
    r: Float[Array, "state batch"],
    n: Float[Array, "state state batch"],
    across: DiffuseAdjoint,
) -> DiffuseAdjoint:
    """Take the observation at t into what is said about state[t]: eq. 5.20 to 5.22, with K = K0 + K1 / κ.

    1 / F is 1 / F* where F∞ = 0, else 1 / (κ F∞) - F* / (κ F∞)².
    """
    z = params.design
    meets = (part.var > 0) & innovation.observed
    diffuse_var = jnp.where(meets, part.var, 1.0)
    w1 = jnp.where(meets, 1 / diffuse_var, 0.0)
    w2 = -w1 * jnp.where(meets, innovation.var / diffuse_var, 0.0)
    k0 = diffuse_gain(innovation, part)
    k1 = jnp.where(meets[None], (innovation.state_obs_cov - k0 * innovation.var[None]) / diffuse_var[None], 0.0)
    e0 = unexplained(params, k0)
    e1 = -k1[:, None] * z[None]
    squared = z[:, None] * z[None]
    cross = matmul(transpose(e0), matmul(n, e1))
    cross_1 = matmul(transpose(e0), matmul(across.n1, e1))
    n1 = squared * w1[None, None] + between(e0, across.n1) + cross + transpose(cross)
    n2 = squared * w2[None, None] + between(e0, across.n2) + cross_1 + transpose(cross_1) + between(e1, n)
    return DiffuseAdjoint(
        r1=z * (w1 * innovation.error)[None] + matvec(transpose(e0), across.r1) + matvec(transpose(e1), r),
        n1=symmetric(n1),
        n2=symmetric(n2),
    )
