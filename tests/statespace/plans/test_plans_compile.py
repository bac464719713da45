"""A live replica never compiles: what the plans can ask for is compiled by their warm-ups."""

import numpy as np
import pytest
from tests.statespace.plans.test_plans import lanes_of, starts_of, trend

from luna_serving.statespace.plans import per_series, shared_gain
from luna_serving.statespace.plans.blocks import WIDTHS, tiles
from luna_serving.statespace.plans.parallel_in_time import parallel_in_time_means
from luna_serving.statespace.plans.per_series import per_series_means
from luna_serving.statespace.plans.recurrence import Recurrence
from luna_serving.statespace.plans.shared_gain import shared_gain_means
from luna_serving.statespace.plans.steady_state import steady_means


def test_after_the_warm_ups_nothing_compiles(compilations):
    assert shared_gain.warm_up() == 4 * 2 * len(WIDTHS)
    assert per_series.warm_up() == 4 * len(WIDTHS)
    compilations.clear()
    rng = np.random.default_rng(0)
    for _ in range(40):
        n, length, batch = rng.integers(1, 7), rng.integers(1, 1100), rng.choice([1, 31, 33, 128, 129, 513, 700])
        gains = Recurrence(np.zeros((length, n, n)), np.zeros((length, n, 1)), np.zeros((length, n)))
        y, start = rng.normal(size=(length, 1, batch)), np.zeros((n, batch))
        precision = (np.float32, np.float64)[rng.integers(2)]
        shared_gain_means(gains, y.astype(precision), start, precision=precision, threads=int(rng.integers(1, 3)))
        steady_means(np.eye(n) / 2, np.ones((n, 1)), np.zeros(n), y.transpose(2, 0, 1), start.T)
        if n <= 4:
            models = [trend(n, 1, [0.1] * n)] * batch
            per_series_means(lanes_of(models), y[:, 0], starts_of(models), threads=int(rng.integers(1, 3)))
    one = [trend(1, 1, [0.1])]
    assert parallel_in_time_means(lanes_of(one), rng.normal(size=20_000), starts_of(one)) is not None
    assert compilations == []


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 32, 33, 300, 512, 513, 1024, 5000])
def test_tiles_cover_the_batch_once(batch, threads):
    cut = tiles(batch, threads=threads)
    assert [tile.first for tile in cut] == list(np.cumsum([0, *(tile.used for tile in cut[:-1])]))
    assert sum(tile.used for tile in cut) == batch
    assert all(0 < tile.used <= tile.width in WIDTHS for tile in cut)
    assert len(cut) >= min(threads, -(-batch // WIDTHS[0]))
