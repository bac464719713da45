"""The batched fixed-interval smoother: the backward pass over a chunk that the filter has been through.

Durbin & Koopman (2012) sections 4.4 and 5.3, in the letters of `recursion.py`: r and N are the score and the
information that the observations after t hold about state[t+1], L = T (I - K Z). Two things differ from the
book. The smoothed moments start from the filtered ones, x̂ = a|t + G r and V = P|t - G N G' with G = P|t T'
(eq. 4.39 and 4.43 with the observation at t folded in first): at the last time they are the filtered ones to
the last bit, and less cancels where the prediction is vague. And in the diffuse phase P∞ = A A' enters
through A, as in the filter.

Nothing is inverted but variances of forecasts: any transition, also a singular one, and variances of zero are
as good as others. The price is that V is a difference: where a prior is far wider than what the data leave,
its digits cancel. `soundness` notices, and the multi-precision plan answers.
"""

from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from luna_serving.engines.statespace.recursions.filter import Carry
from luna_serving.engines.statespace.recursions.recursion import (
    DiffusePart,
    Moments,
    Params,
    System,
    at,
    diffuse_gain,
    innovate,
    matmul,
    matvec,
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
from luna_serving.engines.statespace.recursions.smoother_diffuse import (
    DiffuseAdjoint,
    Forward,
    diffuse_part_of,
    replay,
    smooth_diffuse,
)


class Backward(NamedTuple):
    """What the observations after t say about state[t+1]; zero after the last."""

    r: Float[Array, "state batch"]
    n: Float[Array, "state state batch"]
    adjoint: DiffuseAdjoint  # the same in the next powers of 1/κ, for the diffuse phase


class _Observed(NamedTuple):
    """The observation at t as the backward recursion takes it in."""

    link: Float[Array, "state state batch"]  # L
    score: Float[Array, " batch"]  # v / F; zero where nothing is learnt, and where the forecast was diffuse
    weight: Float[Array, " batch"]  # 1 / F; likewise


class _Run(NamedTuple):
    """The loop's variables: rows still to go, r and N, and what has been written of them."""

    t: Int[Array, ""]
    r: Float[Array, "state batch"]
    n: Float[Array, "state state batch"]
    written: dict[str, Array]


# What the smoother needs of the filter's outputs for the chunk.
NEEDED: Final = (
    "predicted_state",
    "predicted_state_cov",
    "filtered_state",
    "filtered_state_cov",
    "forecast_error_diffuse_cov",
)


@jax.jit
def smooth_chunk(
    system: System, start: Carry, filtered: dict[str, Array], y: Float[Array, "time batch"], back: Backward
) -> tuple[Backward, dict[str, Array]]:
    """Smooth one chunk of every series.

    `start` is the filter's carry before the chunk, `filtered` its `NEEDED` outputs, `back` comes from after it.

    Outputs, time-major; rows past a series' end are undefined:

    - `smoothed_state` [time, state, batch], `smoothed_state_cov` [time, state, state, batch].
    - `smoothed_state_diffuse` [time, state, batch]: the observations leave this state's variance infinite, up
      to rounding; its moments then mean nothing.
    - `score` [time, state, batch] and `information` [time, state, state, batch]: r and N after each row.
    """
    forward = Forward(
        predicted_state=filtered["predicted_state"][:-1],
        predicted_state_cov=filtered["predicted_state_cov"][:-1],
        filtered_state=filtered["filtered_state"],
        filtered_state_cov=filtered["filtered_state_cov"],
        forecast_error_diffuse_cov=filtered["forecast_error_diffuse_cov"],
    )
    length = y.shape[0]
    end = jnp.clip(jnp.max(start.left), 0, length)
    live = jnp.arange(length, dtype=start.left.dtype)[:, None] < start.left[None]
    y = jnp.where(live, y, jnp.nan)
    factors, diffuse_end = replay(system, start, forward, y, end)
    times = jnp.arange(length, dtype=end.dtype)
    rows = jax.vmap(lambda t, *here: _observed(at(system, t), *here))(times, forward, factors.before, y)
    run = _later_observations(system, rows, end, back)
    outputs = jax.vmap(lambda t, *here: _combine(at(system, t), *here))(
        times, forward, run.written["r"], run.written["n"]
    )
    adjoint, outputs = smooth_diffuse(system, forward, y, factors, diffuse_end, run.written, back.adjoint, outputs)
    # Once more, on what a loop has written: what XLA computes again for each entry may round differently.
    outputs["smoothed_state_cov"] = jax.vmap(symmetric)(outputs["smoothed_state_cov"])
    later = {"score": run.written["r"], "information": run.written["n"]}
    return Backward(run.r, run.n, adjoint), outputs | later


def _observed(
    params: Params, forward: Forward, factor: Float[Array, "state shock batch"], y: Float[Array, " batch"]
) -> _Observed:
    """Durbin & Koopman eq. 4.38, 4.42 and, where F∞ > 0, eq. 5.19: the leading power of κ alone."""
    innovation = innovate(params, Moments(forward.predicted_state, forward.predicted_state_cov), y)
    part: DiffusePart = diffuse_part_of(params, factor, forward.forecast_error_diffuse_cov)
    counts: Bool[Array, " batch"] = innovation.informative & ~(part.var > 0)
    weight = jnp.where(counts, 1 / innovation.var, 0.0)
    link = matmul(params.transition, unexplained(params, diffuse_gain(innovation, part)))
    return _Observed(link, innovation.error * weight, weight)


def _later_observations(system: System, rows: _Observed, end: Int[Array, ""], back: Backward) -> _Run:
    """Run r and N back to the chunk's first row; row t written is what the observations after t say."""

    def step(run: _Run) -> _Run:
        t = run.t - 1
        here, z = row(rows, t), at(system, t).design
        written = write(run.written, t, {"r": run.r, "n": run.n})
        r = z * here.score[None] + matvec(transpose(here.link), run.r)
        n = (z[:, None] * z[None]) * here.weight[None, None] + between(here.link, run.n)
        return _Run(t, r, 0.5 * (n + transpose(n)), written)

    length = rows.weight.shape[0]
    empty = {name: jnp.zeros((length, *now.shape), now.dtype) for name, now in (("r", back.r), ("n", back.n))}
    return lax.while_loop(lambda run: run.t > 0, step, _Run(end, back.r, back.n, empty))


def _combine(
    params: Params, forward: Forward, r: Float[Array, "state batch"], n: Float[Array, "state state batch"]
) -> dict[str, Array]:
    """The filtered moments and what later observations say, without a diffuse part."""
    g = matmul(forward.filtered_state_cov, transpose(params.transition))
    return {
        "smoothed_state": forward.filtered_state + matvec(g, r),
        "smoothed_state_cov": covariance(forward.filtered_state_cov - matmul(matmul(g, n), transpose(g))),
        "smoothed_state_diffuse": jnp.zeros(r.shape, bool),
    }
