"""An independent reference that knows no recursion: write down the joint Gaussian and condition it, densely.

All states and observations are linear in (delta, x1, u1, ..., uT, e1, ..., eT), with delta the part of the
start about which nothing is known. Given observations, delta is estimated by generalised least squares, which
is the limit of an ever larger prior variance (Durbin & Koopman 2012, section 5.7.1, after Rosenberg).
"""

from dataclasses import dataclass

import numpy as np

from luna_serving.statespace.models import Model


@dataclass(frozen=True)
class Belief:
    """Mean and covariance of one state given some observations."""

    mean: np.ndarray
    cov: np.ndarray


class Joint:
    """The joint distribution of state[0..T] and y[0..T-1] of one model."""

    def __init__(self, model: Model, y: np.ndarray) -> None:
        n, steps = model.states, len(y)
        _, _, _, _, a, p, factor, rank = np.split(model.packed, np.cumsum([n * n, n, 1, n * n, n, n * n, n * n]))
        transition = [np.linalg.matrix_power(model.transition, k) for k in range(steps + 1)]
        # state[t] = transition^t x1 + sum over s < t of transition^(t-1-s) u[s]
        weights = np.zeros((steps + 1, n, (steps + 1) * n))
        for t in range(steps + 1):
            weights[t, :, :n] = transition[t]
            for s in range(t):
                weights[t, :, (s + 1) * n : (s + 2) * n] = transition[t - 1 - s]
        sources = np.zeros(((steps + 1) * n, (steps + 1) * n))
        sources[:n, :n] = p.reshape(n, n)
        for s in range(steps):
            sources[(s + 1) * n : (s + 2) * n, (s + 1) * n : (s + 2) * n] = model.state_cov
        self.states_mean = np.stack([t @ a for t in transition])
        self.states_diffuse = np.stack([t @ factor.reshape(n, n)[:, : int(rank[0])] for t in transition])
        self.states_cov = np.einsum("tia,ab,sjb->tisj", weights, sources, weights, optimize=True)
        self.design, self.obs_var, self.y = model.design, model.obs_var, y

    def _observed(self, upto: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of the first `upto` observations that are there: residual, regressors, covariance, times."""
        times = np.flatnonzero(~np.isnan(self.y[:upto]))
        z = self.design
        covariance = np.einsum("i,tisj,j->ts", z, self.states_cov[times][:, :, times], z)
        residual = self.y[times] - self.states_mean[times] @ z
        return residual, z @ self.states_diffuse[times], covariance + self.obs_var * np.eye(len(times)), times

    def information(self, upto: int) -> np.ndarray:
        """What the first `upto` observations say about delta: the inverse of its covariance."""
        _, x, v, _ = self._observed(upto)
        return x.T @ np.linalg.solve(v, x)

    def state(self, t: int, upto: int) -> Belief:
        """Belief about state[t] given the first `upto` observations; `information(upto)` must be regular."""
        residual, x, v, times = self._observed(upto)
        cross = np.einsum("isj,j->is", self.states_cov[t][:, times], self.design)
        gain = np.linalg.solve(v, cross.T).T
        mean = self.states_mean[t] + gain @ residual
        cov = self.states_cov[t, :, t] - gain @ cross.T
        if x.shape[1]:
            information = self.information(upto)
            delta = np.linalg.solve(information, x.T @ np.linalg.solve(v, residual))
            sensitivity = self.states_diffuse[t] - gain @ x
            mean = mean + sensitivity @ delta
            cov = cov + sensitivity @ np.linalg.solve(information, sensitivity.T)
        return Belief(mean, cov)

    def observation(self, t: int, upto: int) -> Belief:
        """Belief about y[t] given observations before it; as `state`."""
        state, z = self.state(t, upto), self.design
        return Belief(z @ state.mean, z @ state.cov @ z + self.obs_var)

    def unseen(self, t: int, upto: int) -> np.ndarray | None:
        """How far each state[t] moves along the part of delta that the observations do not tell [n].

        None where it is a matter of digits whether they tell it.
        """
        _, x, v, times = self._observed(upto)
        if not x.shape[1]:
            return np.zeros(len(self.design))
        values, vectors = np.linalg.eigh(self.information(upto))
        blind = values < 1e-13 * max(values[-1], 1.0)
        if (values[~blind] < 1e-4).any():
            return None
        cross = np.einsum("isj,j->is", self.states_cov[t][:, times], self.design)
        sensitivity = self.states_diffuse[t] - np.linalg.solve(v, cross.T).T @ x
        moved: np.ndarray = np.linalg.norm(sensitivity @ vectors[:, blind], axis=1)
        return None if ((moved > 1e-14) & (moved < 1e-3)).any() else moved

    def loglike(self) -> float:
        """Log-likelihood of all observations, ½ ln 2π kept for each, the diffuse ones included."""
        residual, x, v, times = self._observed(len(self.y))
        value = len(times) * np.log(2 * np.pi) + np.linalg.slogdet(v)[1]
        if x.shape[1]:
            information = self.information(len(self.y))
            delta = np.linalg.solve(information, x.T @ np.linalg.solve(v, residual))
            residual = residual - x @ delta
            value += np.linalg.slogdet(information)[1]
        return float(-0.5 * (value + residual @ np.linalg.solve(v, residual)))
