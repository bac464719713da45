"""The filtered means as a linear recurrence in the data, its coefficients computed once for all series.

In the letters of Durbin & Koopman (2012, section 4.3), with c and d the intercepts,

    a[t|t] = Φ[t] a[t-1|t-1] + K[t] y[t] + b[t],   Φ[t] = (I - K[t] Z[t]) T[t-1],
    b[t] = (I - K[t] Z[t]) c[t-1] - K[t] d[t]

Gains depend on the model and on what is missing, never on the data. In a diffuse period K is K∞.
"""

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
# Converged: over the last quarter of the time that it took, a covariance moved by less than rounding does.
STANDSTILL: Final = 1e-14


class Recurrence(NamedTuple):
    """Coefficients for `length` periods; row t turns the filtered mean of t - 1 into that of t.

    Row 0 starts from the predicted mean of period 0: its `phi` holds no transition.
    """

    phi: Doubles  # [time, state, state]
    gain: Doubles  # [time, state, obs]; columns of missing elements are zero
    offset: Doubles  # [time, state]

    @property
    def length(self) -> int:
        """Periods."""
        return int(self.phi.shape[0])

    @property
    def states(self) -> int:
        """States, n."""
        return int(self.phi.shape[1])

    @property
    def observed(self) -> int:
        """Observed elements, m."""
        return int(self.gain.shape[2])

    def continued(self, row: int, length: int) -> "Recurrence":
        """The rows up to this one, and then this one again and again."""
        more = length - row - 1
        return Recurrence(
            *(np.concatenate([part[: row + 1], np.repeat(part[row : row + 1], more, 0)]) for part in self)
        )


def recurrence(
    gain: Doubles, transition: Doubles, design: Doubles, state_intercept: Doubles, obs_intercept: Doubles
) -> Recurrence:
    """Build the recurrence from the gains `[time, n, m]` and the model.

    Args:
        gain: K of each period, P Z' / F; a missing element's column is zero.
        transition: T `[n, n]` or `[time, n, n]`; row t maps t to t + 1.
        design: Z `[m, n]` or `[time, m, n]`.
        state_intercept: c `[n]` or `[time, n]`.
        obs_intercept: d `[m]` or `[time, m]`.
    """
    length, n, m = gain.shape
    z = np.broadcast_to(design, (length, m, n))
    unexplained = np.eye(n) - gain @ z
    phi = unexplained.copy()
    offset = -(gain @ np.broadcast_to(obs_intercept, (length, m))[:, :, None])[:, :, 0]
    if length > 1:
        before = np.broadcast_to(transition, (length, n, n))[:-1]
        shift = np.broadcast_to(state_intercept, (length, n))[:-1]
        phi[1:] = unexplained[1:] @ before
        offset[1:] += (unexplained[1:] @ shift[:, :, None])[:, :, 0]
    return Recurrence(phi, gain, offset)


def settled(cov: Doubles) -> int | None:
    """The first row from which a sequence of covariances `[time, n, n]` is constant; None if it does not.

    A row is compared with the one a quarter of its age before. What decays like rate^t and took t periods to fall
    below 1e-14 is then 1e-3 nearer still to its limit, however slow that is; a comparison of neighbours would take
    slowness for rest. The model must not vary in time nor an observation be missing in these rows: the caller's
    to know.
    """
    for t in range(8, len(cov)):
        size = np.sqrt(np.diagonal(cov[t]))
        moved = np.abs(cov[t] - cov[t - max(4, t // 4)])
        if (moved <= STANDSTILL * size[:, None] * size).all():
            return t
    return None


def period_gains(gain: Doubles, design: Doubles) -> Doubles:
    """The joint gains of each period `[time, n, m]` from those of its elements, taken one by one.

    The engine's filter takes the elements of a period in turn (Durbin & Koopman 2012, section 6.4), each with the
    gain k that the ones before it leave. What an element moves is seen by the later ones:
    K's column i is (I - k[m] z[m]') .. (I - k[i+1] z[i+1]') k[i].

    Args:
        gain: k of each element `[time, m, n]`; zero where missing.
        design: z of each element `[time, m, n]`, of the uncorrelated observations that the gains are for.
    """
    columns = np.swapaxes(gain, 1, 2).copy()
    for later in range(1, gain.shape[1]):
        seen = np.einsum("tn,tnm->tm", design[:, later], columns[:, :, :later])
        columns[:, :, :later] -= gain[:, later, :, None] * seen[:, None]
    return columns
