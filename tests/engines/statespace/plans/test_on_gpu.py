"""What a GPU would compute, by the kernels' interpreter, against the plans that a CPU runs."""

import numpy as np
import pytest

from luna_serving.engines.statespace.kinds import local_linear_trend
from luna_serving.engines.statespace.plans.on_gpu import kernels_run, per_series_on_gpu, shared_gain_on_gpu
from luna_serving.engines.statespace.plans.per_series import Moments, per_series_filter
from luna_serving.engines.statespace.plans.per_series_batch import model_arrays
from luna_serving.engines.statespace.plans.shared_gain import shared_gain_filter
from luna_serving.engines.statespace.plans.shared_gain_batch import probe

TREND = local_linear_trend(obs_var=1.0, level_var=0.5, trend_var=0.1)


@pytest.mark.parametrize(("precision", "atol"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_the_kernel_of_shared_gains_answers_as_the_plan(precision, atol):
    pattern = np.where(np.arange(40) % 9 == 4, np.nan, 0.0)[:, None]
    _, gains = probe(pattern, TREND, "full")
    y = np.random.default_rng(0).normal(size=(5, 40)) + pattern[:, 0]
    start = np.zeros((2, 5))
    ours = shared_gain_on_gpu(gains, y, start, precision, interpret=True)
    assert np.array_equal(ours, ours.astype(np.float32)) == (precision is np.float32)
    np.testing.assert_allclose(ours, shared_gain_filter(gains, y, start), atol=atol)


@pytest.mark.parametrize(("precision", "atol"), [(np.float64, 1e-12), (np.float32, 1e-4)])
def test_the_kernel_a_series_answers_as_the_plan(precision, atol):
    rng = np.random.default_rng(1)
    models = [local_linear_trend(obs_var=1.0, level_var=v, trend_var=0.1) for v in (0.1, 0.5, 2.0)]
    y = rng.normal(size=(3, 30))
    y[rng.random((3, 30)) < 0.2] = np.nan
    start = Moments(np.zeros((2, 3)), np.repeat(np.eye(2)[:, :, None], 3, axis=2))
    ours, after = per_series_on_gpu(model_arrays(models), y, start, precision, interpret=True)
    theirs, expected = per_series_filter(model_arrays(models), y, start)
    np.testing.assert_allclose(ours, theirs, atol=atol)
    np.testing.assert_allclose(after.cov, expected.cov, atol=1e-12)


def test_a_cpu_runs_no_kernels():
    assert not kernels_run(2, 1, np.float32)
