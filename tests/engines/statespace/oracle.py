"""An independent reference that knows no recursion: write down the joint Gaussian and condition it, densely.

All states and observations are linear in (delta, x1, u1, ..., uT, e1, ..., eT), with delta the part of the
start about which nothing is known. Given observations, delta is estimated by generalised least squares, which
is the limit of an ever larger prior variance (Durbin & Koopman 2012, section 5.7.1, after Rosenberg).
"""

from dataclasses import dataclass

import numpy as np

from luna_serving.engines.statespace.model.model import Model, over_time


@dataclass(frozen=True)
class Belief:
    """Mean and covariance of one state given some observations."""

    mean: np.ndarray
    cov: np.ndarray


class Joint:
    """The joint distribution of state[0..T] and y[0..T-1] of one model; y is [T] or [T, m]."""

    def __init__(self, model: Model, y: np.ndarray) -> None:
        n, m, steps = model.states, model.observed, len(y)
        y = y.reshape(steps, m)
        transition = over_time(model.transition, 2, 0, steps)
        noise = over_time(model.disturbance_cov, 2, 0, steps)
        intercept = over_time(model.state_intercept, 1, 0, steps)
        # state[t] = reach[t] x1 + sum over s < t of weights u[s] + mean
        weights = np.zeros((steps + 1, n, (steps + 1) * n))
        weights[0, :, :n] = np.eye(n)
        self.states_mean = np.zeros((steps + 1, n))
        self.states_mean[0] = model.start.mean
        for t in range(steps):
            weights[t + 1] = transition[t] @ weights[t]
            weights[t + 1, :, (t + 1) * n : (t + 2) * n] = np.eye(n)
            self.states_mean[t + 1] = transition[t] @ self.states_mean[t] + intercept[t]
        sources = np.zeros(((steps + 1) * n, (steps + 1) * n))
        sources[:n, :n] = model.start.cov
        for s in range(steps):
            sources[(s + 1) * n : (s + 2) * n, (s + 1) * n : (s + 2) * n] = noise[s]
        self.states_diffuse = weights[:, :, :n] @ model.start.diffuse[:, : model.start.rank]
        self.states_cov = np.einsum("tia,ab,sjb->tisj", weights, sources, weights, optimize=True)
        self.design = over_time(model.design, 2, 0, steps)
        self.obs_cov = over_time(model.obs_cov, 2, 0, steps)
        self.obs_intercept = over_time(model.obs_intercept, 1, 0, steps)
        self.y = y
        signal = np.einsum("tmi,tisj->tmsj", self.design, self.states_cov[:-1])
        self.cross = np.einsum("tisj,smj->tism", self.states_cov[:, :, :-1], self.design)  # state[t] with signal[s]
        cov = np.einsum("tmsj,skj->tmsk", signal[:, :, :-1], self.design)
        for t in range(steps):
            cov[t, :, t] += self.obs_cov[t]
        self.obs_joint = cov.reshape(steps * m, steps * m)
        expected = np.einsum("tmi,ti->tm", self.design, self.states_mean[:-1]) + self.obs_intercept
        self.residuals = (y - expected).reshape(-1)
        regressors = np.einsum("tmi,tik->tmk", self.design, self.states_diffuse[:-1])
        self.regressors = regressors.reshape(steps * m, -1)
        self.m = m

    def _observed(self, upto: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Of the first `upto` periods' observations that are there: residual, regressors, covariance, places."""
        places = np.flatnonzero(~np.isnan(self.y[:upto].reshape(-1)))
        return self.residuals[places], self.regressors[places], self.obs_joint[np.ix_(places, places)], places

    def information(self, upto: int) -> np.ndarray:
        """What the observations of the first `upto` periods say about delta: the inverse of its covariance."""
        _, x, v, _ = self._observed(upto)
        return x.T @ np.linalg.solve(v, x)

    def state(self, t: int, upto: int) -> Belief:
        """Belief about state[t] given the first `upto` periods; `information(upto)` must be regular."""
        residual, x, v, places = self._observed(upto)
        cross = self.cross[t].reshape(len(self.states_mean[t]), -1)[:, places]
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
        """Belief about y[t] given the periods before it; as `state`."""
        state, z = self.state(t, upto), self.design[t]
        return Belief(z @ state.mean + self.obs_intercept[t], z @ state.cov @ z.T + self.obs_cov[t])

    def unseen(self, t: int, upto: int) -> np.ndarray | None:
        """How far each state[t] moves along the part of delta that the observations do not tell [n].

        None where it is a matter of digits whether they tell it.
        """
        _, x, v, places = self._observed(upto)
        if not x.shape[1]:
            return np.zeros(self.design.shape[2])
        values, vectors = np.linalg.eigh(self.information(upto))
        blind = values < 1e-13 * max(values[-1], 1.0)
        if (values[~blind] < 1e-4).any():
            return None
        cross = self.cross[t].reshape(self.design.shape[2], -1)[:, places]
        sensitivity = self.states_diffuse[t] - np.linalg.solve(v, cross.T).T @ x
        moved: np.ndarray = np.linalg.norm(sensitivity @ vectors[:, blind], axis=1)
        return None if ((moved > 1e-14) & (moved < 1e-3)).any() else moved

    def loglike(self) -> float:
        """Log-likelihood of all observations, ½ ln 2π kept for each, the diffuse ones included."""
        residual, x, v, places = self._observed(len(self.y))
        value = len(places) * np.log(2 * np.pi) + np.linalg.slogdet(v)[1]
        if x.shape[1]:
            information = self.information(len(self.y))
            delta = np.linalg.solve(information, x.T @ np.linalg.solve(v, residual))
            residual = residual - x @ delta
            value += np.linalg.slogdet(information)[1]
        return float(-0.5 * (value + residual @ np.linalg.solve(v, residual)))
