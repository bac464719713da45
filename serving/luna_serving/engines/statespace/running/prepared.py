"""A model as the engine runs it: padded to a known number of states, in units that keep its digits."""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.memo import once_per_model
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.model.observations import collapses
from luna_serving.engines.statespace.results.saved import Saved

Floats = NDArray[np.float64]

# Models of one constant observation with so few states have programs of their own, which read no tables.
SIMPLE_STATES: Final = (1, 2)
STATE_BUCKETS: Final = (4, 8, 16, 32, 64)
# A state that nothing is known of and that is seen through a design this far from 1 (regressors as they come) is
# measured in another unit: directions in the diffuse part are distinguished by their sizes.
LARGEST_DESIGN: Final = 2.0**8
# The fractional parts of its multiples are spread evenly.
GOLDEN: Final = 0.6180339887498949


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A model's matrices, padded to `states` and with state j in units of 1 / scale[j]."""

    model: Model
    states: int
    scale: Floats  # [n], powers of two; of a twin anything
    transition: Floats  # [states, states] or [T, ...]
    state_intercept: Floats
    state_cov: Floats  # R Q R'
    saved: Saved  # the start
    noise_root: Floats | None  # G, state_cov = G G', for the square-root filter
    log_scale: float  # what the units of diffuse states add to the log-likelihood
    rows: int  # a period
    still: NDArray[np.bool_]  # [n], states that never move
    simple: bool  # one constant observation, constant matrices, few states
    scaled: bool  # some unit is not the model's own
    packed: Floats  # a simple model and its start as one row: a batch of them is then one array of rows

    @property
    def varies(self) -> bool:
        """Whether the state moves differently from period to period."""
        return any(
            array.ndim > rank for array, rank in ((self.transition, 2), (self.state_intercept, 1), (self.state_cov, 2))
        )

    def inward(self, saved: Saved) -> Saved:
        """A state in the model's units and periods, in the engine's units and rows."""
        inner = _rescaled(saved, self.scale, self.states)
        return self._as_run(replace(inner, nobs_diffuse=saved.nobs_diffuse * self.rows))

    def _as_run(self, inner: Saved) -> Saved:
        """With S in the place of P for the square-root filter."""
        if self.noise_root is None:
            return inner
        return replace(inner, cov=square_root(inner.cov) if inner.root is None else inner.root)

    def outward(self, saved: Saved) -> Saved:
        """The other way round."""
        outer = _rescaled(saved, 1 / self.scale, self.model.states)
        # A period that was diffuse at its first row and no longer at its last was diffuse.
        return replace(outer, nobs_diffuse=-(-saved.nobs_diffuse // self.rows))

    def row(self, saved: Saved) -> Floats:
        """`packed` from another start, in the engine's units."""
        if saved is self.saved:
            return self.packed
        return np.concatenate([self.packed[: -_start_size(self.states)], _flat(saved)])

    def design(self, design: Floats) -> Floats:
        """Designs [..., n] in the engine's units [..., states]."""
        padded = np.zeros((*design.shape[:-1], self.states))
        padded[..., : self.model.states] = design / self.scale
        return padded


def square_root(cov: Floats) -> Floats:
    """Some S [.., n, n] with S S' = cov, which may be singular.

    Of the correlations: eigenvectors are accurate against the largest entry, and variances differ widely.
    """
    scale = np.sqrt(np.diagonal(cov, axis1=-2, axis2=-1))
    safe = np.where(scale > 0, scale, 1.0)
    values, vectors = np.linalg.eigh(cov / (safe[..., :, None] * safe[..., None, :]))
    root: Floats = scale[..., :, None] * vectors * np.sqrt(np.maximum(values, 0.0))[..., None, :]
    return root


def _noise_root(model: Model, scale: Floats, states: int) -> Floats:
    """R Q^½, square: a root of R Q R' itself would take the rounding of a few shocks for shocks of their own."""
    root = scale[:, None] * (model.selection @ square_root(model.state_cov))
    n, r = root.shape[-2:]
    if r > n:
        root = np.swapaxes(np.linalg.qr(np.swapaxes(root, -1, -2), mode="r"), -1, -2)
    padded = np.zeros((*root.shape[:-2], states, states))
    padded[..., :n, : root.shape[-1]] = root
    return padded


def never_moves(model: Model) -> NDArray[np.bool_]:
    """States that are the same in every period [n]: coefficients of regressors, say."""
    noise = np.abs(model.disturbance_cov).reshape(-1, model.states, model.states).max(axis=0)
    own = np.diagonal(model.transition, axis1=-2, axis2=-1).reshape(-1, model.states)
    shifted = model.state_intercept.reshape(-1, model.states).any(axis=0)
    still: NDArray[np.bool_] = _keeps_to_itself(model.transition) & (own == 1).all(axis=0)
    still &= ~noise.any(axis=0) & ~shifted
    return still


@once_per_model
def needs_square_root(model: Model) -> bool:
    """Whether a covariance could lose the digits: two coefficients or more that nothing is known of."""
    return int((never_moves(model) & model.start.diffuse.any(axis=1)).sum()) >= 2


@once_per_model
def prepare(model: Model, *, root: bool = False, twin: bool = False) -> Prepared:
    """Prepare a model, for the square-root filter or the others; the same object again costs nothing.

    A `twin` is the same model in units that are no powers of two: every product rounds differently, and how far its
    answers are off shows how many digits they have (`soundness`).
    """
    n = model.states
    constant = model.length is None
    usual = _scale(model)
    simple = constant and not root and model.observed == 1 and n in SIMPLE_STATES and bool((usual == 1).all())
    uneven = 1 + np.arange(1, n + 1) * GOLDEN % 1 if twin else np.ones(n)
    scale = usual * uneven
    states = n if simple else next(size for size in STATE_BUCKETS if size >= n)
    first = model.start
    units = usual[first.diffuse[:, : first.rank].any(axis=1)] if first.rank else np.ones(1)
    start = Saved(first.mean, first.cov, first.diffuse, first.rank, 0, 0)
    inner = _rescaled(start, scale, states)
    if (usual != 1).any():
        # Each unknown direction as large as the others; see `Prepared.log_scale`.
        inner = replace(inner, diffuse=_padded(first.diffuse * uneven[:, None], states))
    transition = _padded(model.transition * scale[:, None] / scale, states)
    intercept = _padded_vector(model.state_intercept * scale, states)
    cov = _padded(model.disturbance_cov * scale[:, None] * scale, states)
    noise_root = _noise_root(model, scale, states) if root else None
    if root:
        inner = replace(inner, cov=square_root(inner.cov))
    parts = (transition, intercept, model.design / scale, model.obs_cov, cov) if simple else ()
    packed = np.concatenate([np.ravel(part) for part in (*parts, _flat(inner))])
    packed.flags.writeable = False
    return Prepared(
        model=model,
        states=states,
        scale=scale,
        transition=transition,
        state_intercept=intercept,
        state_cov=cov,
        saved=inner,
        noise_root=noise_root,
        log_scale=float(np.log(units).sum()),
        rows=model.states if collapses(model) else model.observed,
        still=never_moves(model),
        simple=simple,
        scaled=bool((scale != 1).any()),
        packed=packed,
    )


def _flat(saved: Saved) -> Floats:
    counts = (float(saved.rank), float(saved.nobs_diffuse))
    return np.concatenate([saved.mean, saved.cov.ravel(), saved.diffuse.ravel(), counts])


def _start_size(states: int) -> int:
    return states + 2 * states * states + 2


def _scale(model: Model) -> Floats:
    """Powers of two, so that no digit changes."""
    largest = np.abs(model.design).reshape(-1, model.states).max(axis=0)
    diffuse = model.start.diffuse.any(axis=1)
    # Only states that keep to themselves: the unit of a trend is tied to its level's.
    alone = _keeps_to_itself(model.transition)
    far = diffuse & alone & (largest > 0) & ((largest > LARGEST_DESIGN) | (largest < 1 / LARGEST_DESIGN))
    scale: Floats = np.where(far, np.exp2(np.round(np.log2(np.where(far, largest, 1.0)))), 1.0)
    return scale


def _keeps_to_itself(transition: Floats) -> NDArray[np.bool_]:
    stacked = transition.reshape(-1, *transition.shape[-2:])
    off = np.abs(stacked).max(axis=0) * (1 - np.eye(transition.shape[-1]))
    alone: NDArray[np.bool_] = ~(off.any(axis=0) | off.any(axis=1))
    return alone


def _rescaled(saved: Saved, scale: Floats, states: int) -> Saved:
    n = min(len(scale), states)
    mean, cov, diffuse = saved.mean[:n] * scale, saved.cov[:n, :n], saved.diffuse[:n, :n]
    return Saved(
        mean=_padded_vector(mean, states),
        cov=_padded(cov * scale[:, None] * scale, states),
        diffuse=_padded(diffuse * scale[:, None], states),
        rank=saved.rank,
        period=saved.period,
        nobs_diffuse=saved.nobs_diffuse,
        root=None if saved.root is None else _padded(saved.root[:n, :n] * scale[:, None], states),
    )


def _padded(matrix: Floats, states: int) -> Floats:
    """With rows and columns of zeros: states that are known to be zero and stay so."""
    n = matrix.shape[-1]
    if n == states:
        return matrix
    padded = np.zeros((*matrix.shape[:-2], states, states))
    padded[..., :n, :n] = matrix
    return padded


def _padded_vector(vector: Floats, states: int) -> Floats:
    n = vector.shape[-1]
    if n == states:
        return vector
    padded = np.zeros((*vector.shape[:-1], states))
    padded[..., :n] = vector
    return padded
