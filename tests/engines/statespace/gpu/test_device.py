"""Which device runs the kernels, and that they lower to Triton for an NVIDIA device although none is here."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from luna_serving.engines.statespace.gpu.device import WARP, layout, supported
from luna_serving.engines.statespace.gpu.per_series import Params, filter_series
from luna_serving.engines.statespace.gpu.shared_gain import filter_means


@pytest.mark.parametrize("dtype", [np.float32, np.float64, "float32", jnp.float64])
def test_a_gpu_runs_up_to_four_states(dtype: type | str) -> None:
    assert [n for n in range(8) if supported("gpu", n, dtype)] == [1, 2, 3, 4]


def test_nothing_else_runs_them() -> None:
    assert not supported("cpu", 2, np.float32)
    assert not supported("tpu", 2, np.float32)
    assert not supported("gpu", 2, np.float16)
    assert not supported("gpu", 2, np.int32)


@pytest.mark.parametrize("batch", [1, 1000, 2**14, 2**18, 10**6])
@pytest.mark.parametrize("shared", [False, True])
def test_a_program_covers_whole_warps_and_a_power_of_two_of_lanes(batch: int, shared: bool) -> None:
    found = layout(batch, shared=shared)
    assert found.lanes.bit_count() == 1
    assert found.lanes % (WARP * found.warps) == 0


def shape(*sizes: int, dtype: type = np.float32) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(sizes, dtype)


def launches(lowered: jax.stages.Lowered) -> int:
    """Kernels that the program launches; it must have no loop of its own around them."""
    text = lowered.as_text()
    assert "stablehlo.while" not in text
    return text.count("xla.gpu.triton")


@pytest.mark.parametrize("states", [1, 2, 3, 4])
@pytest.mark.parametrize(("batch", "dtype", "signal"), [(1000, np.float64, False), (2**18, np.float32, True)])
def test_the_shared_gains_lower_to_one_kernel_for_cuda(states: int, batch: int, dtype: type, signal: bool) -> None:
    n, length = states, 1000
    traced = filter_means.trace(
        shape(length, n, n, dtype=dtype),
        shape(length, n, dtype=dtype),
        shape(length, n, dtype=dtype),
        shape(length, batch, dtype=dtype),
        shape(n, batch, dtype=dtype),
        shape(n, dtype=dtype) if signal else None,
        length=shape(dtype=np.int32),
    )
    assert launches(traced.lower(lowering_platforms=("cuda",))) == 1


@pytest.mark.parametrize("states", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("batch", "means", "covs", "loglike"),
    [(1000, np.float32, np.float64, True), (2**14, np.float64, np.float64, False)],
)
def test_a_model_for_each_series_lowers_to_one_kernel_for_cuda(
    states: int, batch: int, means: type, covs: type, loglike: bool
) -> None:
    n = states
    square, vector = shape(n, n, batch, dtype=covs), shape(n, batch, dtype=covs)
    traced = filter_series.trace(
        Params(square, vector, shape(batch, dtype=covs), vector, square),
        shape(1000, batch, dtype=means),
        shape(n, batch, dtype=means),
        square,
        length=shape(dtype=np.int32),
        loglike=loglike,
    )
    assert launches(traced.lower(lowering_platforms=("cuda",))) == 1
