"""The least conditional value at risk, as a linear program (Rockafellar and Uryasev 2000).

min a + 1/((1 - level) T) sum u_t over u_t >= -r_t'w - a, u >= 0. Its dual has one column per scenario and one row per
asset, so that thousands of scenarios take milliseconds.
"""

from typing import Final

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from luna_serving.engines.finance.markowitz.constraints import Constraints, Floats, Place
from luna_serving.engines.finance.markowitz.refusals import Unsolved
from luna_serving.engines.finance.markowitz.rows import rows_of
from luna_serving.engines.finance.markowitz.solution import Solution

# A slack below this is none.
TOUCHES: Final = 1e-10


def least_cvar(returns: Floats, level: float, limits: Constraints) -> Solution:
    """The portfolio of least conditional value at risk.

    Args:
        returns: [T, n], scenarios of equal probability.
        level: the share of better scenarios, in (0, 1).
        limits: feasible, without tracking error.

    Raises:
        Unsolved: the solver found none.
    """
    periods, n = returns.shape
    rows = rows_of(limits)
    d = rows.width
    unit = float(np.abs(returns).max()) or 1.0
    share = 1.0 / ((1.0 - level) * periods)
    cost = np.concatenate([np.zeros(d), [1.0], np.full(periods, share)])
    padding = np.zeros((periods, d - n))
    scenarios = sparse.hstack(
        [np.hstack([-returns / unit, padding, -np.ones((periods, 1))]), -sparse.identity(periods)], format="csc"
    )
    held = sparse.hstack([rows.most, sparse.csc_matrix((len(rows.most), periods + 1))])
    equal = sparse.hstack([rows.equal, sparse.csc_matrix((len(rows.equal), periods + 1))])
    bounds = [(None, None)] * (d + 1) + [(0, None)] * periods
    answer = linprog(
        cost,
        sparse.vstack([held, scenarios], format="csc"),
        np.concatenate([rows.most_of, np.zeros(periods)]),
        equal,
        rows.equal_to,
        bounds,
        method="highs-ds",
    )
    if answer.status != 0:
        raise Unsolved(str(answer.message))
    x = answer.x
    weights = x[:n] + 0.0
    weights[int(weights.argmax())] += 1.0 - float(weights.sum())
    most = -answer.ineqlin.marginals
    tails = most[len(rows.most) :]
    prices: dict[Place, float] = {}
    for place, multiplier in zip(rows.equal_places, answer.eqlin.marginals, strict=True):
        if place is not None:
            prices[place] = abs(float(multiplier)) * unit
    slack = rows.most_of - rows.most @ x[:d]
    for place, multiplier, room in zip(rows.most_places, most, slack, strict=False):
        if place is not None and room <= TOUCHES:
            prices[place] = max(0.0, float(multiplier)) * unit
    stationary = rows.most.T @ most[: len(rows.most)] - rows.equal.T @ answer.eqlin.marginals
    stationary[:n] -= returns.T @ tails / unit
    losses = -returns @ weights / unit
    off = (
        float(np.abs(stationary).max()),
        abs(float(tails.sum()) - 1.0),
        max(0.0, float(tails.max()) - share),
        max(0.0, -float(most.min())),
        max(0.0, -float(slack.min())),
        # Complementarity: the dual's value is the primal's.
        abs(cvar_of(losses, level) - float(answer.fun)),
    )
    return Solution(weights, max(off), dict(sorted(prices.items())), method="linear_program")


def cvar_of(losses: Floats, level: float) -> float:
    """The mean of the worst (1 - level) T losses, the last of them in part.

    Args:
        losses: [T]
        level: in (0, 1).
    """
    ordered = np.sort(losses)[::-1]
    many = (1.0 - level) * len(losses)
    shares = np.clip(many - np.arange(len(losses)), 0.0, 1.0)
    return float(ordered @ shares / many)


def value_at_risk(losses: Floats, level: float) -> float:
    """The least loss that at least a share `level` of the scenarios do not exceed."""
    return float(np.sort(losses)[min(len(losses) - 1, int(np.ceil(level * len(losses) - 1e-9)) - 1)])
