"""The log-likelihood of a batch of series and its derivative in one direction each, by forward differentiation.

The filter's loops (`filter.py`) without their outputs: only the sum of the log-likelihood is carried, so memory does
not grow with time. Forward differentiation goes through a `while_loop`, so the loops stop at the longest series
and, of the diffuse phase, when it is over, as in the filter. Each lane of the batch has its own direction: tangents
of its matrices, of its start and of its rows (which depend on the parameters where obs_cov is not diagonal).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from luna_serving.engines.statespace.recursions.filter import loglike_of
from luna_serving.engines.statespace.recursions.recursion import (
    Moments,
    Moving,
    Observing,
    Params,
    System,
    at,
    correct,
    diffuse_gain,
    diffuse_part,
    gain,
    innovate,
    predict,
    propagate,
    reveal,
)


class Given(NamedTuple):
    """What depends on parameters, for a chunk of time."""

    observing: Observing
    moving: Moving
    y: Float[Array, "time batch"]


class Standing(NamedTuple):
    """Each lane between two chunks."""

    mean: Float[Array, "state batch"]
    cov: Float[Array, "state state batch"]
    diffuse: Float[Array, "state shock batch"]
    loglike: Float[Array, " batch"]


class Counts(NamedTuple):
    """The part of it that has no derivative."""

    rank: Int[Array, " batch"]
    left: Int[Array, " batch"]
    met: Int[Array, " batch"]  # observations that resolved a diffuse direction


class _Run(NamedTuple):
    t: Int[Array, ""]
    standing: Standing
    rank: Int[Array, " batch"]
    met: Int[Array, " batch"]


@jax.jit
def score_chunk(
    given: Given,
    given_tangent: Given,
    standing: Standing,
    standing_tangent: Standing,
    counts: Counts,
    moves: Bool[Array, " time"] | None,
) -> tuple[Standing, Standing, Counts]:
    """Carry every lane over a chunk: its state after it, the derivative of that, and what is left.

    The arrays of `given` have a leading axis of time or none, as `recursion.System` has; y is NaN where missing and on
    padding, its tangent finite everywhere.
    """
    over = partial(_over_chunk, counts=counts, moves=moves)
    after, tangent, following = jax.jvp(over, (given, standing), (given_tangent, standing_tangent), has_aux=True)
    return after, tangent, following


def _over_chunk(
    given: Given, standing: Standing, *, counts: Counts, moves: Bool[Array, " time"] | None
) -> tuple[Standing, Counts]:
    system = System(given.observing, given.moving, moves)
    length = given.y.shape[0]
    end = jnp.clip(jnp.max(counts.left), 0, length)

    def still_diffuse(run: _Run) -> Bool[Array, ""]:
        return (run.t < end) & jnp.any((run.rank > 0) & (run.t < counts.left))

    def now(run: _Run) -> tuple[Params, Float[Array, " batch"]]:
        return at(system, run.t), lax.dynamic_index_in_dim(given.y, run.t, 0, keepdims=False)

    def diffuse_step(run: _Run) -> _Run:
        params, y = now(run)
        return _diffuse_step(params, run, y, live=run.t < counts.left)

    def step(run: _Run) -> _Run:
        params, y = now(run)
        standing = run.standing
        predicted = Moments(standing.mean, standing.cov)

        def corrected() -> tuple[Moments, Float[Array, " batch"]]:
            innovation = innovate(params, predicted, y)
            learnt = loglike_of(innovation, jnp.zeros_like(innovation.var))
            return correct(params, predicted, innovation, gain(innovation)), learnt

        filtered, learnt = lax.cond(jnp.any(~jnp.isnan(y)), corrected, lambda: (predicted, jnp.zeros_like(y)))
        following = predict(params, filtered)
        after = Standing(following.mean, following.cov, standing.diffuse, standing.loglike + learnt)
        return _Run(run.t + 1, after, run.rank, run.met)

    run = lax.while_loop(still_diffuse, diffuse_step, _Run(jnp.zeros_like(end), standing, counts.rank, counts.met))
    run = lax.while_loop(lambda run: run.t < end, step, run)
    return run.standing, Counts(run.rank, jnp.maximum(counts.left - length, 0), run.met)


def _diffuse_step(params: Params, run: _Run, y: Float[Array, " batch"], *, live: Bool[Array, " batch"]) -> _Run:
    standing = run.standing
    predicted = Moments(standing.mean, standing.cov)
    innovation = innovate(params, predicted, y)
    part = diffuse_part(params, standing.diffuse)
    filtered = correct(params, predicted, innovation, diffuse_gain(innovation, part))
    following = predict(params, filtered)
    kept, rank = reveal(params, standing.diffuse, run.rank, part, observed=innovation.observed)
    factor, rank = propagate(params, kept, rank)
    after = Standing(
        mean=following.mean,
        cov=following.cov,
        diffuse=jnp.where(live[None, None], factor, standing.diffuse),
        loglike=standing.loglike + loglike_of(innovation, part.var),
    )
    met = run.met + (innovation.observed & (part.var > 0)).astype(run.met.dtype)
    return _Run(run.t + 1, after, jnp.where(live, rank, run.rank), met)
