"""Longstaff and Schwartz: backwards through the exercise dates, the value of going on is regressed on the state.

"Valuing American options by simulation: a simple least-squares approach", Review of Financial Studies 14 (2001).
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Bool, Float

Values = Float[np.ndarray, " n"]
Features = Callable[[int, Bool[np.ndarray, " n"]], Float[np.ndarray, "features m"]]
"""Of an exercise date, for the paths of a mask."""


def regress(features: Float[np.ndarray, "features n"], y: Values) -> Float[np.ndarray, " features"] | None:
    """Least squares by modified Gram-Schmidt; None with fewer paths than features.

    Sums are NumPy's own, so that the coefficients do not depend on the threads of a BLAS.
    """
    count, n = features.shape
    if n < count:
        return None
    q: list[Values | None] = []
    r = np.zeros((count, count))
    projected = np.zeros(count)
    for i in range(count):
        v = features[i].copy()
        size = float(np.sqrt((v * v).sum()))
        for j, each in enumerate(q):
            if each is not None:
                r[j, i] = (each * v).sum()
                v -= r[j, i] * each
        norm = float(np.sqrt((v * v).sum()))
        if norm <= 1e-10 * size or norm == 0.0:
            q.append(None)
            continue
        r[i, i] = norm
        v /= norm
        q.append(v)
        projected[i] = (v * y).sum()
    beta = np.zeros(count)
    for i in range(count - 1, -1, -1):
        if q[i] is not None:
            beta[i] = (projected[i] - (r[i, i + 1 :] * beta[i + 1 :]).sum()) / r[i, i]
    return beta


def backwards(
    intrinsic: Float[np.ndarray, "dates n"],
    discounts: Sequence[float],
    features: Features,
    martingale: Float[np.ndarray, "dates n"] | None = None,
) -> tuple[list[Float[np.ndarray, " features"] | None], Values]:
    """Coefficients of each date but the last, and what the paths pay under them, discounted to time 0.

    Args:
        intrinsic: what exercise pays at each date.
        discounts: from each date to the one before; of the first, to time 0.
        features: regressors of a date.
        martingale: of each date, a value whose discounted process is a martingale and that is near to the option's:
            stopped with the option, it takes most of the noise off what is regressed.
    """
    cash = intrinsic[-1].copy()
    beside = None if martingale is None else martingale[-1].copy()
    coefficients: list[Float[np.ndarray, " features"] | None] = []
    for k in range(len(intrinsic) - 2, -1, -1):
        cash *= discounts[k + 1]
        worth = intrinsic[k] > 0.0
        x = features(k, worth)
        y = cash[worth]
        if beside is not None and martingale is not None:
            beside *= discounts[k + 1]
            y += martingale[k][worth] - beside[worth]
        beta = regress(x, y)
        coefficients.append(beta)
        if beta is None:
            continue
        now = intrinsic[k][worth]
        stops = now >= continuation(beta, x)
        cash[worth] = np.where(stops, now, cash[worth])
        if beside is not None and martingale is not None:
            beside[worth] = np.where(stops, martingale[k][worth], beside[worth])
    cash *= discounts[0]
    return coefficients[::-1], cash


def continuation(beta: Float[np.ndarray, " features"], x: Float[np.ndarray, "features n"]) -> Values:
    """The regressed value of going on."""
    out: Values = beta[0] * x[0]
    for coefficient, row in zip(beta[1:], x[1:], strict=True):
        out += coefficient * row
    return out
