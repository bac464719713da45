"""The textbook's filter for one series in a NumPy loop: whole matrices, an inverse, Joseph's form."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Matrices:
    """A model whose matrices all have a leading axis of time."""

    transition: np.ndarray
    design: np.ndarray
    obs_cov: np.ndarray
    state_cov: np.ndarray
    state_intercept: np.ndarray
    obs_intercept: np.ndarray
    mean: np.ndarray
    cov: np.ndarray


@dataclass
class Filtered:
    gain: list = field(default_factory=list)  # [n, m], zero columns for missing elements
    mean: list = field(default_factory=list)
    cov: list = field(default_factory=list)
    predicted_mean: list = field(default_factory=list)  # one more than observations
    predicted_cov: list = field(default_factory=list)
    error_cov: list = field(default_factory=list)
    loglike: list = field(default_factory=list)

    def array(self, name: str) -> np.ndarray:
        return np.array(getattr(self, name))


def textbook(model: Matrices, y: np.ndarray) -> Filtered:
    """Filter `[time, m]`; NaN is missing, element by element."""
    a, p = model.mean, model.cov
    out = Filtered(predicted_mean=[a], predicted_cov=[p])
    for t, row in enumerate(y):
        seen = ~np.isnan(row)
        z, h = model.design[t], model.obs_cov[t]
        f = z @ p @ z.T + h
        gain = np.zeros((len(a), len(row)))
        loglike = 0.0
        if seen.any():
            inverse = np.linalg.inv(f[np.ix_(seen, seen)])
            gain[:, seen] = p @ z[seen].T @ inverse
            v = row[seen] - z[seen] @ a - model.obs_intercept[t][seen]
            a = a + gain[:, seen] @ v
            loglike = -0.5 * (seen.sum() * np.log(2 * np.pi) - np.linalg.slogdet(inverse)[1] + v @ inverse @ v)
        left = np.eye(len(a)) - gain @ z
        p = left @ p @ left.T + gain @ h @ gain.T
        for name, value in zip(("gain", "mean", "cov", "error_cov", "loglike"), (gain, a, p, f, loglike), strict=True):
            getattr(out, name).append(value)
        a = model.transition[t] @ a + model.state_intercept[t]
        p = model.transition[t] @ p @ model.transition[t].T + model.state_cov[t]
        out.predicted_mean.append(a)
        out.predicted_cov.append(p)
    return out


def drawn(rng: np.random.Generator, n: int, m: int, length: int, *, varying: bool, intercepts: bool) -> Matrices:
    """A random model whose transition is stable."""
    periods = length if varying else 1

    def over_time(array: np.ndarray) -> np.ndarray:
        return np.broadcast_to(array, (length, *array.shape[1:]))

    def spread(size: int) -> np.ndarray:
        root = rng.normal(size=(periods, size, size))
        return root @ root.transpose(0, 2, 1) + 0.1 * np.eye(size)

    transition = rng.normal(size=(periods, n, n))
    transition /= 1.05 * np.abs(np.linalg.eigvals(transition)).max(axis=1)[:, None, None]
    return Matrices(
        transition=over_time(transition),
        design=over_time(rng.normal(size=(periods, m, n))),
        obs_cov=over_time(spread(m)),
        state_cov=over_time(spread(n)),
        state_intercept=over_time(rng.normal(size=(periods, n)) * intercepts),
        obs_intercept=over_time(rng.normal(size=(periods, m)) * intercepts),
        mean=rng.normal(size=n),
        cov=spread(n)[0],
    )


def holes(rng: np.random.Generator, shape: tuple[int, ...], share: float) -> np.ndarray:
    """Where observations are missing."""
    return rng.random(shape) < share
