"""The filter that carries a square root of the covariance: P = S S', never formed until it is answered.

As many digits as P has in S have twice as many in P: where a prior far wider than the data, or regressors that
nearly repeat each other, would leave P without any, S still has half of float64's. Observations enter one by one by
Potter's update (Bierman 1977, "Factorization methods for discrete sequential estimation", section V.2), and a
transition by an orthogonal reduction of [T S, R Q^½] (Kaminski, Bryson & Schmidt 1971).
"""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from luna_serving.engines.statespace.recursions.filter import Carry, loglike_of
from luna_serving.engines.statespace.recursions.recursion import (
    Innovation,
    Params,
    System,
    at,
    diffuse_part,
    dot,
    matmul,
    matvec,
    propagate,
    reveal,
    symmetric,
)


class _Run(NamedTuple):
    """The loop's variables: time, the series with S in the place of P, and what has been written so far."""

    t: Int[Array, ""]
    series: Carry
    written: dict[str, Array]


@jax.jit
def filter_chunk_root(
    system: System,
    noise_root: Float[Array, "time state state batch"],
    carry: Carry,
    y: Float[Array, "time batch"],
) -> tuple[Carry, dict[str, Array]]:
    """Filter one chunk as `filter.filter_chunk` does in full, outputs and all; `carry.cov` is S, also in the answer.

    `noise_root` is G with G G' the covariance of the state's disturbance.
    """
    length = y.shape[0]
    end = jnp.clip(jnp.max(carry.left), 0, length)

    def step(run: _Run) -> _Run:
        params = at(system, run.t)
        root = lax.dynamic_index_in_dim(noise_root, run.t, 0, keepdims=False)
        return _step(params, root, run, lax.dynamic_index_in_dim(y, run.t, 0, keepdims=False))

    run = lax.while_loop(lambda run: run.t < end, step, _Run(jnp.zeros_like(end), carry, _buffers(carry, length)))
    series = run.series._replace(left=jnp.maximum(carry.left - length, 0))
    written = _write(run, {"predicted_state": run.series.mean, "root": run.series.cov})
    return series, _derive(written, y)


def _buffers(carry: Carry, length: int) -> dict[str, Array]:
    states, batch = carry.mean.shape
    zeros = partial(jnp.zeros, dtype=carry.mean.dtype)
    return {
        "predicted_state": zeros((length + 1, states, batch)),
        "root": zeros((length + 1, states, states, batch)),
        "filtered_state": zeros((length, states, batch)),
        "filtered_root": zeros((length, states, states + 1, batch)),
        "forecasts": zeros((length, batch)),
        "forecast_error_cov": zeros((length, batch)),
        "diffuse_var": zeros((length, batch)),
        "gain": zeros((length, states, batch)),
    }


def _write(run: _Run, rows: dict[str, Array]) -> dict[str, Array]:
    placed = {name: lax.dynamic_update_index_in_dim(run.written[name], row, run.t, 0) for name, row in rows.items()}
    return run.written | placed


def _step(params: Params, noise_root: Float[Array, "state state batch"], run: _Run, y: Float[Array, " batch"]) -> _Run:
    series, z = run.series, params.design
    phi = matvec(series.cov.transpose(1, 0, 2), z)  # S' Z'
    var = dot(phi, phi) + params.obs_var
    forecast = dot(z, series.mean)
    observed = ~jnp.isnan(y)
    error = jnp.where(observed, y - forecast, 0.0)
    # A sum of squares has no rounding to mistake for a variance; zero is the model's own.
    informative = observed & ~(var <= 0)
    state_obs_cov = matvec(series.cov, phi)  # M
    part = diffuse_part(params, series.diffuse)
    meets = (part.var > 0) & observed
    safe = jnp.where(informative, var, 1.0)
    k_regular = jnp.where(informative[None], state_obs_cov / safe[None], 0.0)
    k_diffuse = part.state_obs_cov / jnp.where(meets, part.var, 1.0)[None]
    k = jnp.where(meets[None], k_diffuse, k_regular)
    mean = series.mean + k * error[None]
    # Potter's factor; with K∞, which is no least-squares gain, the update is (I - K Z) S next to K H^½.
    potter = jnp.where(informative, 1 / (1 + jnp.sqrt(params.obs_var / safe)), 0.0)
    along = k * jnp.where(meets, 1.0, potter)[None]
    shrunk = series.cov - along[:, None] * phi[None]
    beside = jnp.where(meets[None], k * jnp.sqrt(params.obs_var)[None], 0.0)
    filtered_root = jnp.concatenate([shrunk, beside[:, None]], axis=1)
    moved = jnp.concatenate([matmul(params.transition, filtered_root), noise_root], axis=1)
    kept, rank = reveal(params, series.diffuse, series.rank, part, observed=observed)
    factor, rank = propagate(params, kept, rank)
    live = run.t < series.left
    following = Carry(
        mean=matvec(params.transition, mean) + params.state_intercept,
        cov=_reduced(moved),
        diffuse=jnp.where(live[None, None], factor, series.diffuse),
        rank=jnp.where(live, rank, series.rank),
        left=series.left,
        nobs_diffuse=series.nobs_diffuse + ((series.rank > 0) & live).astype(series.nobs_diffuse.dtype),
    )
    rows = {
        "predicted_state": series.mean,
        "root": series.cov,
        "filtered_state": mean,
        "filtered_root": filtered_root,
        "forecasts": forecast,
        "forecast_error_cov": var,
        "diffuse_var": part.var,
        "gain": k,
    }
    return _Run(run.t + 1, following, _write(run, rows))


def _reduced(wide: Float[Array, "state shock batch"]) -> Float[Array, "state state batch"]:
    """A square S with the same S S'."""
    upper = jnp.linalg.qr(wide.transpose(2, 1, 0), mode="r")
    return upper.transpose(2, 1, 0)


def _derive(written: dict[str, Array], y: Float[Array, "time batch"]) -> dict[str, Array]:
    observed = ~jnp.isnan(y)
    var, diffuse_var = written["forecast_error_cov"], written["diffuse_var"]
    error = jnp.where(observed, y - written["forecasts"], 0.0)
    informative: Bool[Array, "time batch"] = observed & ~(var <= 0)
    innovation = Innovation(written["forecasts"], error, var, var, observed, informative)
    standard = informative & ~(diffuse_var > 0)
    return {
        "predicted_state": written["predicted_state"],
        "predicted_state_cov": jax.vmap(_squared)(written["root"]),
        "predicted_root": written["root"],
        "filtered_state": written["filtered_state"],
        "filtered_state_cov": jax.vmap(_squared)(written["filtered_root"]),
        "forecasts": written["forecasts"],
        "forecast_error": jnp.where(observed, error, jnp.nan),
        "gain": written["gain"],
        "forecast_error_cov": var,
        "forecast_error_diffuse_cov": diffuse_var,
        "standardized_forecast_error": jnp.where(standard, error / jnp.sqrt(jnp.where(informative, var, 1.0)), jnp.nan),
        "loglike_obs": loglike_of(innovation, diffuse_var),
    }


def _squared(root: Float[Array, "state shock batch"]) -> Float[Array, "state state batch"]:
    return symmetric(matmul(root, root.transpose(1, 0, 2)))
