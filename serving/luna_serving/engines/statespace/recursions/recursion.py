"""One step of the Kalman filter for a batch of models: a scalar observation, and perhaps a transition after it.

Several observations of one period are taken one by one (the univariate treatment, Durbin & Koopman 2012,
section 6.4), so that a row of time is all that the engine knows; `observations.py` makes rows of them.
In the letters of the book: Z design, H obs_var, T transition, c state_intercept, Q the covariance of R u; a, P the
predicted state and its covariance; v, F the one-step forecast error and its variance; M = P Z'; K the gain, M / F.

Every array has the batch as its last axis. With few states products are written as broadcasts and sums over the
states: XLA's CPU backend fuses those into loops over the batch, where a tiny matrix product would be a call. The
sums are Python loops, because a reduction would split the fusion. From 8 states on the call is the faster one
(a step of 32 series with 16 states: 116 us fused, 45 us as products).

Covariances are updated in Joseph's form, (I - K Z) P (I - K Z)' + K H K'. It stays positive under rounding
and keeps its digits where P - K M' cancels: with state variances 1e12 times obs_var, 2e-16 off against 2e-4.
It holds for any gain, and so serves the diffuse step too, whose gain is K∞ (Durbin & Koopman eq. 5.12 to
5.15 with F∞ > 0 multiply out to it).
"""

from typing import Final, NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

# Z P Z' is judged zero below this multiple of the sum of its terms' sizes: what rounding alone leaves.
ROUNDING: Final = 16 * 2.220446049250313e-16
# F∞ = |Z A|² is judged zero when |Z A| is below 1e-12 of |Z| |A|. Relative, so that the unit of the series
# does not matter; A and not P∞ = A A' is carried, so that 1e-12 is far above rounding (1e-16) and still lets
# a step dt of 1e-9 units of time determine a velocity.
DIFFUSE_TOLERANCE: Final = 1e-12
# The most states whose products are fused loops.
FUSED_STATES: Final = 4


class Observing(NamedTuple):
    """How each model is observed; with a leading axis of time, or constant."""

    design: Float[Array, "*time state batch"]
    obs_var: Float[Array, "*time batch"]


class Moving(NamedTuple):
    """How each model moves; with a leading axis of time, or constant."""

    transition: Float[Array, "*time state state batch"]
    state_intercept: Float[Array, "*time state batch"]
    state_cov: Float[Array, "*time state state batch"]


class System(NamedTuple):
    """The system matrices of a chunk of time."""

    observing: Observing
    moving: Moving
    moves: Bool[Array, " time"] | None
    """Whether a transition follows the row: not after the first of several observations of a period. None: always."""


class Params(NamedTuple):
    """The system matrices of one row of time."""

    transition: Float[Array, "state state batch"]
    state_intercept: Float[Array, "state batch"]
    design: Float[Array, "state batch"]
    obs_var: Float[Array, " batch"]
    state_cov: Float[Array, "state state batch"]
    moves: Bool[Array, ""] | None = None


class Moments(NamedTuple):
    """Mean and covariance of the state."""

    mean: Float[Array, "state batch"]
    cov: Float[Array, "state state batch"]


class Innovation(NamedTuple):
    """What an observation says that the prediction did not."""

    forecast: Float[Array, " batch"]
    error: Float[Array, " batch"]  # v; zero where the observation is missing
    var: Float[Array, " batch"]  # F
    state_obs_cov: Float[Array, "state batch"]  # M
    observed: Bool[Array, " batch"]
    informative: Bool[Array, " batch"]  # observed, and F > 0


class DiffusePart(NamedTuple):
    """The observation seen by the diffuse part A of the state, P∞ = A A'."""

    state_obs_cov: Float[Array, "state batch"]  # M∞ = A (Z A)'
    var: Float[Array, " batch"]  # F∞ = |Z A|²; exactly zero where it is only rounding


def at(system: System, t: Int[Array, ""]) -> Params:
    """The matrices of row t. Where no transition follows, it is the identity without noise."""

    def pick(array: Array, rank: int) -> Array:
        return array if array.ndim == rank else lax.dynamic_index_in_dim(array, t, 0, keepdims=False)

    design, obs_var = pick(system.observing.design, 2), pick(system.observing.obs_var, 1)
    moving = system.moving
    transition, intercept = pick(moving.transition, 3), pick(moving.state_intercept, 2)
    state_cov = pick(moving.state_cov, 3)
    if system.moves is None:
        return Params(transition, intercept, design, obs_var, state_cov)
    moves = pick(system.moves, 0)
    stay = jnp.eye(design.shape[0], dtype=design.dtype)[:, :, None]
    return Params(
        transition=jnp.where(moves, transition, stay),
        state_intercept=jnp.where(moves, intercept, 0.0),
        design=design,
        obs_var=obs_var,
        state_cov=jnp.where(moves, state_cov, 0.0),
        moves=moves,
    )


def matvec(matrix: Float[Array, "row state batch"], vector: Float[Array, "state batch"]) -> Float[Array, "row batch"]:
    """Multiply a matrix and a vector per member of the batch."""
    if vector.shape[0] > FUSED_STATES:
        return jnp.sum(matrix * vector[None], axis=1)
    total = matrix[:, 0] * vector[0][None]
    for k in range(1, vector.shape[0]):
        total = total + matrix[:, k] * vector[k][None]
    return total


def matmul(
    left: Float[Array, "row state batch"], right: Float[Array, "state column batch"]
) -> Float[Array, "row column batch"]:
    """Multiply two matrices per member of the batch."""
    if right.shape[0] > FUSED_STATES:
        return jnp.einsum("ikb,kjb->ijb", left, right, precision=lax.Precision.HIGHEST)
    total = left[:, 0][:, None] * right[0][None]
    for k in range(1, right.shape[0]):
        total = total + left[:, k][:, None] * right[k][None]
    return total


def dot(left: Float[Array, "state batch"], right: Float[Array, "state batch"]) -> Float[Array, " batch"]:
    """Multiply two vectors per member of the batch."""
    if left.shape[0] > FUSED_STATES:
        return jnp.sum(left * right, axis=0)
    total = left[0] * right[0]
    for k in range(1, left.shape[0]):
        total = total + left[k] * right[k]
    return total


def symmetric(cov: Float[Array, "state state batch"]) -> Float[Array, "state state batch"]:
    """Average a covariance with its transpose: rounding must not let its two halves drift apart."""
    if cov.shape[0] == 1:
        return cov
    return 0.5 * (cov + cov.transpose(1, 0, 2))


def innovate(params: Params, predicted: Moments, y: Float[Array, " batch"]) -> Innovation:
    """Compare the observation, NaN where missing, with its forecast (Durbin & Koopman eq. 4.13, 4.16)."""
    z = params.design
    state_obs_cov = matvec(predicted.cov, z)
    signal_var = dot(z, state_obs_cov)
    var = signal_var + params.obs_var
    forecast = dot(z, predicted.mean)
    observed = ~jnp.isnan(y)
    error = jnp.where(observed, y - forecast, 0.0)
    # F = 0: the model already knows the observation exactly, and it is skipped (section 6.4.2).
    rounding = ROUNDING * dot(jnp.abs(z), matvec(jnp.abs(predicted.cov), jnp.abs(z)))
    # Written so that NaN and infinity from overflow count as informative and come out as NaN, not as a skipped step.
    informative = observed & ~(var - rounding <= 0)
    return Innovation(forecast, error, var, state_obs_cov, observed, informative)


def gain(innovation: Innovation) -> Float[Array, "state batch"]:
    """K = M / F; zero where nothing is learnt."""
    ratio = innovation.state_obs_cov / innovation.var[None]
    return jnp.where(innovation.informative[None], ratio, 0.0)


def diffuse_part(params: Params, factor: Float[Array, "state shock batch"]) -> DiffusePart:
    """Return M∞ and F∞ (Durbin & Koopman section 5.2) from the factor A of P∞."""
    z = params.design
    signal = matvec(factor.transpose(1, 0, 2), z)  # Z A
    var = dot(signal, signal)
    size = dot(z, z) * jnp.sum(factor * factor, axis=(0, 1))
    return DiffusePart(state_obs_cov=matvec(factor, signal), var=jnp.where(var > DIFFUSE_TOLERANCE**2 * size, var, 0.0))


def diffuse_gain(innovation: Innovation, part: DiffusePart) -> Float[Array, "state batch"]:
    """K∞ = M∞ / F∞ where the observation meets the diffuse part, else the ordinary gain."""
    meets = (part.var > 0) & innovation.observed
    ratio = part.state_obs_cov / jnp.where(meets, part.var, 1.0)[None]
    return jnp.where(meets[None], ratio, gain(innovation))


def correct(params: Params, predicted: Moments, innovation: Innovation, k: Float[Array, "state batch"]) -> Moments:
    """Fold the observation in with gain `k`; Joseph's form."""
    mean = predicted.mean + k * innovation.error[None]
    identity = jnp.eye(k.shape[0], dtype=k.dtype)[:, :, None]
    unexplained = identity - k[:, None] * params.design[None]
    shrunk = matmul(matmul(unexplained, predicted.cov), unexplained.transpose(1, 0, 2))
    noise = k[:, None] * k[None] * params.obs_var[None, None]
    return Moments(mean, shrunk + noise)


def predict(params: Params, filtered: Moments) -> Moments:
    """Move one step in time (Durbin & Koopman eq. 4.21, 4.22)."""

    def move() -> Moments:
        t = params.transition
        spread = matmul(matmul(t, filtered.cov), t.transpose(1, 0, 2))
        return Moments(matvec(t, filtered.mean) + params.state_intercept, symmetric(spread + params.state_cov))

    if params.moves is None:
        return move()
    moved: Moments = lax.cond(params.moves, move, lambda: Moments(filtered.mean, symmetric(filtered.cov)))
    return moved


def reveal(
    params: Params,
    factor: Float[Array, "state shock batch"],
    rank: Int[Array, " batch"],
    part: DiffusePart,
    *,
    observed: Bool[Array, " batch"],
) -> tuple[Float[Array, "state shock batch"], Int[Array, " batch"]]:
    """Take from A the direction that the observation reveals.

    A (I - w' w / |w|²) with w = Z A is the factor of P∞ - M∞ M∞' / F∞ (Durbin & Koopman eq. 5.14). Each such
    step lowers the rank by one, which is counted: rounding never leaves a series diffuse for ever.
    """
    meets = (part.var > 0) & observed
    signal = jnp.sum(factor * params.design[:, None], axis=0)
    ratio = part.state_obs_cov / jnp.where(meets, part.var, 1.0)[None]
    rank = rank - meets.astype(rank.dtype)
    kept = factor - jnp.where(meets[None], ratio, 0.0)[:, None] * signal[None]
    # A singular transition can drop a direction that the rank still counts. What is then left of a state is rounding,
    # judged by the state's own row: rows differ as widely as the units of their states.
    before, after = jnp.sum(factor * factor, axis=1), jnp.sum(kept * kept, axis=1)
    kept = jnp.where((after <= DIFFUSE_TOLERANCE**2 * before)[:, None], 0.0, kept)
    return jnp.where((rank > 0)[None, None], kept, 0.0), rank


def propagate(
    params: Params, kept: Float[Array, "state shock batch"], rank: Int[Array, " batch"]
) -> tuple[Float[Array, "state shock batch"], Int[Array, " batch"]]:
    """Move A one step in time; a transition that forgets (T singular) ends the phase without an observation."""
    following = matmul(params.transition, kept)
    return following, jnp.where(jnp.any(following != 0, axis=(0, 1)), rank, 0)
