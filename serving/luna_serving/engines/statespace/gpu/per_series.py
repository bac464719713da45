"""The Kalman filter of many series that each have a model and a missing pattern of their own.

The recursion of `statespace.recursion`, in the same letters (Durbin & Koopman 2012, section 4.3) and in Joseph's form
for the same reason, with mean and covariance in registers. Means may be float32 while covariances are float64: the
gains then carry no more than float32's rounding, not what a badly conditioned covariance makes of it.
"""

import operator
from functools import partial
from typing import Final, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import pallas as pl
from jax.experimental.pallas import triton as plgpu
from jaxtyping import Array, Float, Int

from luna_serving.engines.statespace.gpu.device import Layout, layout
from luna_serving.engines.statespace.gpu.lanes import (
    Block,
    Lanes,
    Ref,
    Time,
    by_lanes,
    end_of,
    entry,
    fit,
    over_time,
    sizes,
    unwritten,
    whole,
)
from luna_serving.engines.statespace.gpu.unrolled import Matrix, Vector, as_type, dot, matvec, sandwich, symmetric
from luna_serving.engines.statespace.process.jax_process import require_float64

LOG_2PI: Final = 1.8378770664093453
# In units of the covariance's rounding; `recursion.ROUNDING` in float64.
ROUNDING_UNITS: Final = 16
# Observations in flight. Reckoned, not measured: with hundreds of instructions a step, a pair ahead hides a load.
ROWS_AHEAD: Final = 2


class Params(NamedTuple):
    """The model of each series, constant in time, in the number format of its covariance."""

    transition: Float[Array, "state state batch"]
    design: Float[Array, "state batch"]
    obs_var: Float[Array, " batch"]
    state_intercept: Float[Array, "state batch"]
    state_cov: Float[Array, "state state batch"]  # of the disturbance, R Q R'


class Filtered(NamedTuple):
    """What `filter_series` answers."""

    means: Float[Array, "time state batch"]
    """Filtered states. Rows from `length` on were never written and hold anything."""
    mean: Float[Array, "state batch"]
    """The state predicted after the last row, and below its covariance: the start of the rows that follow."""
    cov: Float[Array, "state state batch"]
    loglike: Float[Array, " batch"] | None
    """The log-likelihood of the rows run, in float64, each observation's ½ ln 2π included; None unless asked for."""


class _Carry(NamedTuple):
    mean: Vector
    cov: Matrix
    loglike: Lanes | None


@partial(jax.jit, static_argnames=("loglike", "interpret"))
def filter_series(
    params: Params,
    y: Float[Array, "time batch"],
    start: Float[Array, "state batch"],
    cov: Float[Array, "state state batch"],
    *,
    length: Int[Array, ""] | None = None,
    loglike: bool = False,
    interpret: bool = False,
) -> Filtered:
    """Filter every series from the known moments of its first state.

    Args:
        params: the models, in the number format of `cov`.
        y: the observations, NaN where missing, any batch and any time.
        start: a[0], the state predicted before y[0], in the number format of y.
        cov: P[0], symmetric. Its number format is that of all covariances and gains: float64 with a float32 y is
            "float64 gains".
        length: rows of y that count, an int32; all where None. One compiled program serves every length.
        loglike: answer the log-likelihood too.
        interpret: run on a CPU, slowly, for tests.

    Raises:
        ValueError: shapes or number formats do not go together.
        Float64RequiredError: the log-likelihood is wanted while JAX truncates to float32.
    """
    rows_of_time, states, batch = sizes(y, start)
    fit("start", start, (states, batch), y.dtype)
    fit("cov", cov, (states, states, batch), cov.dtype)
    vector, square = (states, batch), (states, states, batch)
    for name, shape in zip(Params._fields, (square, vector, (batch,), vector, square), strict=True):
        fit(name, getattr(params, name), shape, cov.dtype)
    plan = layout(batch, shared=False)
    answers = [
        unwritten((rows_of_time, states, batch), y.dtype),
        unwritten(start.shape, y.dtype),
        unwritten(cov.shape, cov.dtype),
    ]
    if loglike:
        require_float64()
        answers.append(unwritten((batch,), jnp.float64))
    end = end_of(length, rows_of_time)
    each = [*params, y, start, cov]
    found = pl.pallas_call(
        partial(_kernel, batch=batch, states=states, plan=plan, loglike=loglike),
        out_shape=answers,
        grid=(pl.cdiv(batch, plan.lanes),),
        in_specs=[whole(end), *(by_lanes(array, plan) for array in each)],
        out_specs=[by_lanes(array, plan) for array in answers],
        compiler_params=plgpu.CompilerParams(num_warps=plan.warps, num_stages=1),
        interpret=interpret,
        name="per_series",
    )(end, *each)
    means, mean, cov_after, *total = found
    return Filtered(means, mean, cov_after, total[0] if loglike else None)


class _Model(NamedTuple):
    """One lane's model in registers."""

    transition: Matrix
    design: Vector
    obs_var: Lanes
    state_intercept: Vector
    state_cov: Matrix


def _kernel(end: Ref, *refs: Ref, batch: int, states: int, plan: Layout, loglike: bool) -> None:
    transition, design, obs_var, state_intercept, state_cov, y, start, cov, means, mean_after, cov_after, *total = refs
    lanes = Block.of(batch, plan)
    each = range(states)
    model = _Model(
        transition=tuple(tuple(lanes.load(transition, i, j) for j in each) for i in each),
        design=tuple(lanes.load(design, i) for i in each),
        obs_var=lanes.load(obs_var),
        state_intercept=tuple(lanes.load(state_intercept, i) for i in each),
        state_cov=symmetric(states, lambda i, j: lanes.load(state_cov, i, j)),
    )
    before = _Carry(
        mean=tuple(lanes.load(start, i) for i in each),
        cov=symmetric(states, lambda i, j: lanes.load(cov, i, j)),
        loglike=jnp.zeros(plan.lanes, jnp.float64) if loglike else None,
    )

    def load(t: Time, when: Array | None) -> Lanes:
        return lanes.load(y, t, when=when)

    def step(_t: Time, now: Lanes, carry: _Carry) -> tuple[_Carry, Vector]:
        return _step(model, now, carry)

    def store(t: Time, filtered: Vector) -> None:
        for i in each:
            lanes.store(means, filtered[i], t, i)

    after = over_time(entry(end, 0), ROWS_AHEAD, load, step, store, before)
    for i in each:
        lanes.store(mean_after, after.mean[i], i)
        for j in each:
            lanes.store(cov_after, after.cov[i][j], i, j)
    if after.loglike is not None:
        lanes.store(total[0], after.loglike)


def _step(model: _Model, y: Lanes, predicted: _Carry) -> tuple[_Carry, Vector]:
    """Correct with y, NaN where missing, and predict; the carry after, and the filtered mean."""
    z, cov = model.design, predicted.cov
    means, covs = y.dtype, cov[0][0].dtype
    states = range(len(z))
    state_obs_cov = matvec(cov, z)
    signal_var = dot(z, state_obs_cov)
    var = signal_var + model.obs_var
    observed = ~jnp.isnan(y)
    error = jnp.where(observed, y - dot(as_type(z, means), predicted.mean), jnp.zeros_like(y))
    sizes = tuple(map(jnp.abs, z))
    rounding = dot(sizes, matvec(tuple(tuple(map(jnp.abs, row)) for row in cov), sizes))
    # F = 0: known already, and skipped. Overflow must not be taken for that: inf - inf and NaN are not <= 0.
    informative = observed & ~(var - rounding * (ROUNDING_UNITS * float(np.finfo(covs).eps)) <= 0)
    per_var = 1 / jnp.where(informative, var, jnp.ones_like(var))
    gain = tuple(jnp.where(informative, entry * per_var, jnp.zeros_like(entry)) for entry in state_obs_cov)
    mean = tuple(predicted.mean[i] + gain[i].astype(means) * error for i in states)
    unexplained = tuple(tuple(float(i == j) - gain[i] * z[j] for j in states) for i in states)
    filtered_cov = sandwich(unexplained, cov, lambda i, j: gain[i] * gain[j] * model.obs_var)
    spread = sandwich(model.transition, filtered_cov, lambda i, j: model.state_cov[i][j])
    moved = matvec(tuple(as_type(row, means) for row in model.transition), mean)
    following = tuple(map(operator.add, moved, as_type(model.state_intercept, means)))
    loglike = predicted.loglike
    if loglike is not None:
        surprise = _loglike(error.astype(jnp.float64), var.astype(jnp.float64))
        loglike = loglike + jnp.where(informative, surprise, jnp.zeros_like(surprise))
    return _Carry(following, spread, loglike), mean


def _loglike(error: Lanes, var: Lanes) -> Lanes:
    """What an observation adds (Durbin & Koopman eq. 7.2)."""
    return -0.5 * (LOG_2PI + jnp.log(var) + error * error / var)
