"""The weights of the filter and the smoother of one series, as matrices a period that any number of series can share.

Gains and covariances depend on the model, on where observations are missing and on the length, not on what was
observed. One pass of the engine's filter gives them; `shared_means` multiplies them with many series at once.

Letters as in `recursion.py` and `smoother.diffuse` (Durbin & Koopman 2012, sections 4.4 and 5.3): a, v, K, F, r, r1,
P, A. A period has k rows of one observation each (`observations.py`); the weights of a whole period are the product of
those of its rows. Everything is in the engine's units.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from luna_serving.engines.statespace.model.model import Model, over_time
from luna_serving.engines.statespace.recursions.recursion import DIFFUSE_TOLERANCE
from luna_serving.engines.statespace.results.saved import Saved
from luna_serving.engines.statespace.running.answers import series_results
from luna_serving.engines.statespace.running.packing import Group
from luna_serving.engines.statespace.running.passes import Passed, forward_pass

Floats = NDArray[np.float64]


class DiffuseRow(NamedTuple):
    """A row of the diffuse phase on the way back: eq. 5.19 to 5.22 for the means."""

    design: Floats  # Z [n]
    gain: Floats  # K0 [n]; K∞ where the observation meets the diffuse part
    gain_1: Floats  # K1 [n], the gain's next power of 1/κ
    weight_1: float  # 1 / F∞ where it meets, else 0


class DiffusePeriod(NamedTuple):
    """A period that begins diffuse."""

    rows: list[DiffuseRow]
    transition: Floats  # T [n, n]
    kept: Floats  # A once the period's observations are folded in [n, n]


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """The weights of consecutive periods; (a, y) and (r, s) are vectors of n + k elements one above the other."""

    forward: Floats  # [T, n, n + k], takes (a, y) to the next period's a
    filtered: Floats  # [T, n, n + k], takes (a, y) to the filtered state
    errors: Floats  # [T, k, n + k], takes (a, y) to the forecast errors v
    scores: Floats  # [T, k], 1 / F of what counts, else 0: s = v / F
    backward: Floats  # [T, n, n + k], takes (r, s) to the r of the period before
    spread: Floats  # [T, n, n], P|t T': the smoothed state is the filtered one and this times r
    diffuse: list[DiffusePeriod]  # of the first periods; r1 is zero after the last of them
    met: int  # observations that resolved a diffuse direction


def weights_of(
    model: Model, pattern: Floats, group: Group, start: Saved | None, *, ends: bool
) -> tuple[Weights, Saved | None]:
    """Weights of the periods in `pattern` [T, m], NaN where missing, and the filter's state after them.

    Args:
        model: constant, or varying in time.
        pattern: what is observed there does not matter.
        group: the engine's batch of one such series.
        start: the filter's state before the first period; None: the model's own start.
        ends: whether no period follows; then None is answered for the following start.
    """
    passed = forward_pass([(pattern, model)], group, [start])
    following = None if ends else series_results(passed, "full")[0].saved
    return _weights(passed, len(pattern)), following


def _weights(passed: Passed, periods: int) -> Weights:
    lane, outputs = passed.lanes[0], {name: each[0] for name, each in passed.outputs.items()}
    prepared, n = lane.prepared, lane.prepared.model.states
    k = prepared.rows
    rows = periods * k
    # A simple model's rows share one design.
    design = np.broadcast_to(prepared.design(lane.rows.design)[:, :n], (rows, n)).reshape(periods, k, n)
    gain = outputs["gain"][:rows, :n].reshape(periods, k, n)
    observed = ~np.isnan(lane.rows.y).reshape(periods, k)
    # The filter's own judgement of which observations count, and of those outside the diffuse part.
    counts = ~np.isnan(outputs["standardized_forecast_error"][:rows])
    cov = np.where(counts, outputs["forecast_error_cov"][:rows], 1.0)
    scores = np.where(counts, 1 / cov, 0.0).reshape(periods, k)
    transition = over_time(prepared.transition, 2, lane.saved.period, periods)[:, :n, :n]
    filtered, errors = _filtered(design, gain, observed)
    filtered_cov = outputs["filtered_state_cov"][k - 1 : rows : k, :n, :n]
    diffuse, met = _diffuse(passed, outputs, transition, observed)
    return Weights(
        forward=transition @ filtered,
        filtered=filtered,
        errors=errors,
        scores=scores,
        backward=_backward(design, gain, transition),
        spread=filtered_cov @ transition.swapaxes(1, 2),
        diffuse=diffuse,
        met=met,
    )


def _filtered(design: Floats, gain: Floats, observed: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """What takes (a, y) to the filtered state and to the errors: a + K v and v = y - Z a, row after row."""
    periods, k, n = design.shape
    state = np.zeros((periods, n, n + k))
    state[:, range(n), range(n)] = 1.0
    errors = np.zeros((periods, k, n + k))
    for j in range(k):
        error = -np.einsum("tn,tnc->tc", design[:, j], state)
        error[:, n + j] += 1.0
        error *= observed[:, j, None]
        state += gain[:, j, :, None] * error[:, None]
        errors[:, j] = error
    return state, errors


def _backward(design: Floats, gain: Floats, transition: Floats) -> Floats:
    """What takes (r, s) back over a period: T' r, then (I - K Z)' r + Z' s, last row first (eq. 4.38)."""
    periods, k, n = design.shape
    back = np.zeros((periods, n, n + k))
    back[:, :, :n] = transition.swapaxes(1, 2)
    for j in reversed(range(k)):
        back -= design[:, j, :, None] * np.einsum("tn,tnc->tc", gain[:, j], back)[:, None]
        back[:, :, n + j] += design[:, j]
    return back


def _diffuse(
    passed: Passed, outputs: dict[str, Floats], transition: Floats, observed: NDArray[np.bool_]
) -> tuple[list[DiffusePeriod], int]:
    """The periods that begin diffuse, how many observations resolved a direction; A as `smoother.diffuse.replay`."""
    lane = passed.lanes[0]
    prepared, saved, (periods, k) = lane.prepared, lane.saved, observed.shape
    n = prepared.model.states
    factor, rank = saved.diffuse[:n, :n], saved.rank
    found: list[DiffusePeriod] = []
    met = 0
    design = prepared.design(lane.rows.design)[:, :n]
    for t in range(periods):
        if not rank:
            break
        rows: list[DiffuseRow] = []
        for j in range(k):
            row = t * k + j
            z, gain = design[row % len(design)], outputs["gain"][row, :n]
            var = float(outputs["forecast_error_diffuse_cov"][row]) if factor.any() else 0.0
            if not (var > 0 and observed[t, j]):
                rows.append(DiffuseRow(z, gain, np.zeros(n), 0.0))
                continue
            state_obs_cov = outputs["predicted_state_cov"][row, :n, :n] @ z
            gain_1 = (state_obs_cov - gain * outputs["forecast_error_cov"][row]) / var
            rows.append(DiffuseRow(z, gain, gain_1, 1 / var))
            rank, met = rank - 1, met + 1
            factor = _revealed(factor, z, var) if rank else np.zeros_like(factor)
        found.append(DiffusePeriod(rows, transition[t], factor))
        factor = transition[t] @ factor
        if not factor.any():
            rank = 0
    return found, met


def _revealed(factor: Floats, design: Floats, var: float) -> Floats:
    """A without the direction that an observation resolved; see `recursion.reveal`."""
    signal = design @ factor
    kept: Floats = factor - np.outer(factor @ signal / var, signal)
    before, after = (factor**2).sum(axis=1), (kept**2).sum(axis=1)
    kept[after <= DIFFUSE_TOLERANCE**2 * before] = 0.0
    return kept
