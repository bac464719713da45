"""The probability of crossing against simulated futures."""

import numpy as np
import pytest

from luna_serving.engines.anomaly import crossing
from luna_serving.engines.anomaly.model import unlearnt

PATHS = 40_000


def simulated(q_level: float, q_slope: float, state: list[float], samples: int, threshold: float) -> float:
    """The share of paths, sample by sample, of which one exceeds the threshold."""
    rng = np.random.default_rng(41)
    level, slope, p11, p12, p22 = state
    start = rng.multivariate_normal([level, slope], [[p11, p12], [p12, p22]], PATHS)
    m, b = start[:, 0], start[:, 1]
    cov = np.array([[q_level + q_slope / 3, q_slope / 2], [q_slope / 2, q_slope]])
    crossed = np.zeros(PATHS, dtype=bool)
    for _ in range(samples):
        shock = rng.multivariate_normal([0, 0], cov, PATHS)
        m, b = m + b + shock[:, 0], b + shock[:, 1]
        crossed |= m + rng.standard_normal(PATHS) > threshold
    return float(crossed.mean())


CASES = [
    # A level that hardly moves, one that walks, a random walk, a trend, a trend that turns.
    (1e-6, 0.0, [0.0, 0.0, 0.01, 0.0, 0.0], 1, 1.5),
    (1e-6, 0.0, [0.0, 0.0, 0.01, 0.0, 0.0], 60, 3.0),
    (0.01, 0.0, [0.0, 0.0, 0.1, 0.0, 0.0], 60, 3.5),
    (1.0, 0.0, [0.0, 0.0, 0.6, 0.0, 0.0], 20, 6.0),
    (10.0, 0.0, [0.0, 0.0, 0.9, 0.0, 0.0], 240, 60.0),
    (1e-4, 1e-10, [0.0, 0.05, 0.05, 0.001, 1e-4], 120, 8.0),
    (0.01, 1e-4, [0.0, 0.02, 0.2, 0.01, 0.002], 60, 6.0),
]


@pytest.mark.parametrize(("q_level", "q_slope", "state", "samples", "threshold"), CASES)
def test_it_is_the_share_of_simulated_paths(q_level, q_slope, state, samples, threshold):
    models = unlearnt(1)
    models.q_level[:], models.q_slope[:], models.interval[:] = q_level, q_slope, 60_000
    (found,) = crossing.probability(
        models,
        np.zeros(1, dtype=np.int64),
        np.zeros(1, dtype=np.int64),
        np.zeros(1),
        np.array(state)[:, None],
        np.array([threshold]),
        np.array([samples * 60_000.0]),
    )
    truth = simulated(q_level, q_slope, state, samples, threshold)
    assert 0.02 < truth < 0.98
    assert found == pytest.approx(truth, abs=0.03)


def test_it_grows_with_the_horizon_and_falls_with_the_threshold():
    models = unlearnt(1)
    models.q_level[:], models.interval[:] = 0.01, 60_000

    def at(threshold: float, minutes: int) -> float:
        lane = np.zeros(1, dtype=np.int64)
        state = np.array([0.0, 0.0, 0.1, 0.0, 0.0])[:, None]
        ahead = np.array([minutes * 60_000.0])
        return float(crossing.probability(models, lane, lane, np.zeros(1), state, np.array([threshold]), ahead)[0])

    horizons = [at(4.0, minutes) for minutes in (1, 2, 5, 20, 24, 25, 100, 1000)]
    assert (np.diff(horizons) > 0).all()
    thresholds = [at(threshold, 60) for threshold in (-5, 0, 2, 4, 8, 20)]
    assert (np.diff(thresholds) <= 0).all()
    assert thresholds[0] == pytest.approx(1)
    assert thresholds[-1] == pytest.approx(0, abs=1e-9)
