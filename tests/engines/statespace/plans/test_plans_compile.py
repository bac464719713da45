"""A live replica never compiles: what the plans can ask for is compiled by their warm-ups."""

import numpy as np
import pytest
from tests.engines.statespace.plans.test_plans import model_arrays, starts_of, trend

from luna_serving.engines.statespace.plans import per_series, shared_gain
from luna_serving.engines.statespace.plans.parallel_in_time import parallel_in_time_means
from luna_serving.engines.statespace.plans.per_series import per_series_filter
from luna_serving.engines.statespace.plans.recurrence import Recurrence
from luna_serving.engines.statespace.plans.shared_gain import shared_gain_filter
from luna_serving.engines.statespace.plans.steady_state import steady_means
from luna_serving.engines.statespace.plans.tiles import WIDTHS, tiles


def test_after_the_warm_ups_nothing_compiles(compilations):
    assert shared_gain.warm_up() == 4 * 2 * len(WIDTHS)
    assert per_series.warm_up() == 4 * len(WIDTHS)
    compilations.clear()
    rng = np.random.default_rng(0)
    for _ in range(40):
        n, length, batch = rng.integers(1, 7), rng.integers(1, 1100), rng.choice([1, 40, 41, 136, 137, 520, 521, 700])
        gains = Recurrence(np.zeros((length, n, n)), np.zeros((length, n, 1)), np.zeros((length, n)))
        y, start, threads = rng.normal(size=(batch, length)), np.zeros((n, batch)), int(rng.integers(1, 3))
        precision = (np.float32, np.float64)[rng.integers(2)]
        shared_gain_filter(gains, y, start, precision=precision, threads=threads)
        steady_means(np.eye(n) / 2, np.ones((n, 1)), np.zeros(n), y[:, :, None], start.T)
        if n <= 4:
            models = [trend(n, 1, [0.1] * n)] * batch
            per_series_filter(model_arrays(models), y, starts_of(models), threads=threads)
    one = [trend(1, 1, [0.1])]
    assert parallel_in_time_means(model_arrays(one), rng.normal(size=20_000), starts_of(one)) is not None
    assert compilations == []


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("batch", [1, 40, 41, 136, 300, 520, 521, 1024, 5000])
def test_tiles_cover_the_batch_once(batch, threads):
    cut = tiles(batch, threads=threads)
    assert [tile.first for tile in cut] == list(np.cumsum([0, *(tile.used for tile in cut[:-1])]))
    assert sum(tile.used for tile in cut) == batch
    assert all(0 < tile.used <= tile.width in WIDTHS for tile in cut)


@pytest.mark.parametrize(
    ("batch", "threads", "widths"),
    [
        (30, 2, [40]),  # a second thread would have to go through as many rows of as many lanes
        (80, 2, [40, 40]),
        (200, 1, [136, 136]),  # 520 lanes cost more
        (200, 2, [136, 136]),
        (520, 1, [520]),
        (1024, 2, [520, 520]),
        (1300, 1, [520, 520, 136, 136]),
    ],
)
def test_tiles_are_as_wide_as_is_soonest_done(batch, threads, widths):
    assert [tile.width for tile in tiles(batch, threads=threads)] == widths
