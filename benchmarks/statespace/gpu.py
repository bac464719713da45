"""`python -m benchmarks.statespace.gpu`: the GPU kernels next to `lax.scan` and a copy of memory on the same GPU.

Every kernel is first compared with the scan, which is written without it; a wrong answer ends the run. Then all take
turns, so that whatever else the GPU does hits neighbours alike, and a row is the median of its rounds. The limit is
a device-to-device copy, counted as the bytes that it reads and writes.
"""

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array, lax

from luna_serving.engines.statespace.gpu.device import supported
from luna_serving.engines.statespace.gpu.per_series import Params, filter_series
from luna_serving.engines.statespace.gpu.shared_gain import filter_means
from luna_serving.engines.statespace.process.jax_process import configure_jax

BATCHES: Final = (2**10, 2**14, 2**17, 2**20)
LENGTH: Final = 1000
STATES: Final = 2
# Of the number format of the means, after a thousand steps in two orders of summation.
AGREEMENT: Final = {np.dtype("f4"): 1e-4, np.dtype("f8"): 1e-9}
OK, WRONG = 0, 1


@dataclass(frozen=True, slots=True)
class Contender:
    """One way to the same answer."""

    name: str
    run: Callable[[], Array]
    bytes_a_step: int
    """What it must read and write of each series at each step."""


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(","))


def main(arguments: list[str]) -> int:
    """Measure what the GPU here does, or say that there is none."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.statespace.gpu", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contender (7)")
    parser.add_argument(
        "--batches", type=_numbers, default=BATCHES, metavar="B,B", help="sizes (to 2**20, which wants 50 GB)"
    )
    parser.add_argument(
        "--interpret",
        action="store_true",
        help="run on the CPU with small float32 arrays and interpreted kernels: shows that it works, not a speed",
    )
    options = parser.parse_args(arguments)
    configure_jax()
    platform = jax.default_backend()
    if not options.interpret and not supported(platform, STATES, np.float32):
        print(f"No NVIDIA GPU here: JAX runs on {platform!r}. Nothing was measured.")
        return OK
    print(f"{jax.devices()[0].device_kind}, JAX {jax.__version__}, n = {STATES}")
    batches, length, formats = options.batches, LENGTH, (np.dtype("f4"), np.dtype("f8"))
    if options.interpret:
        batches, length, formats = (40,), 12, formats[:1]
    print(f"{'batch':>9} {'':34} {'G steps/s':>10} {'÷ scan':>8} {'of copy':>8}")
    for batch in batches:
        for dtype in formats:
            for group in (shared_gain, per_series):
                contenders = group(batch, length, dtype, interpret=options.interpret)
                if (off := _disagreement(contenders)) > AGREEMENT[dtype]:
                    print(f"WRONG: {contenders[0].name} and {contenders[-1].name} differ by {off:.1e}")
                    return WRONG
                _report(batch, length, [*contenders, copy(batch, length, dtype)], options.rounds)
    return OK


def copy(batch: int, length: int, dtype: np.dtype) -> Contender:
    """The limit: as many bytes read, and as many written, as there are observations."""
    array = jnp.ones((length, batch), dtype)
    return Contender("copy of [T, B]", partial(jax.jit(jnp.copy), array), 2 * dtype.itemsize)


def shared_gain(batch: int, length: int, dtype: np.dtype, *, interpret: bool) -> list[Contender]:
    """One design of the state in and one out; the scan last."""
    transition, gain = np.array([[1.0, 1.0], [0.0, 1.0]]), np.array([0.6, 0.2])
    phi = (np.eye(STATES) - np.outer(gain, [1.0, 0.0])) @ transition
    arrays = (
        jnp.broadcast_to(jnp.asarray(phi, dtype), (length, STATES, STATES)),
        jnp.broadcast_to(jnp.asarray(gain, dtype), (length, STATES)),
        jnp.zeros((length, STATES), dtype),
        _observations(batch, length, dtype),
        jnp.zeros((STATES, batch), dtype),
    )
    design = jnp.asarray([1.0, 0.0], dtype)

    def kernel() -> Array:
        return filter_means(*arrays, design, interpret=interpret).filtered

    name = f"shared gain, signal, {dtype}"
    size = 2 * dtype.itemsize
    return [
        Contender(f"{name}, kernel", kernel, size),
        Contender(f"{name}, scan", partial(_scan_means, *arrays, design), size),
    ]


def per_series(batch: int, length: int, dtype: np.dtype, *, interpret: bool) -> list[Contender]:
    """Means with a model and gaps for each series, covariances in float64; the scan last."""
    rng = np.random.default_rng(1)
    transition = np.repeat(np.array([[1.0, 1.0], [0.0, 0.9]])[:, :, None], batch, axis=2)
    variances = np.eye(STATES)[:, :, None] * rng.uniform(0.1, 1.0, batch)
    params = Params(
        jnp.asarray(transition),
        jnp.asarray(np.repeat([[1.0], [0.0]], batch, axis=1)),
        jnp.asarray(rng.uniform(0.5, 2.0, batch)),
        jnp.zeros((STATES, batch)),
        jnp.asarray(variances),
    )
    y = _observations(batch, length, dtype)
    y = jnp.where(jax.random.uniform(jax.random.key(2), y.shape) < 0.1, jnp.asarray(jnp.nan, dtype), y)
    start, cov = jnp.zeros((STATES, batch), dtype), jnp.asarray(10 * variances)

    def kernel() -> Array:
        return filter_series(params, y, start, cov, interpret=interpret).means

    name, size = f"per series, means, {dtype}", (1 + STATES) * dtype.itemsize
    return [
        Contender(f"{name}, kernel", kernel, size),
        Contender(f"{name}, scan", partial(_scan_series, params, y, start, cov), size),
    ]


def _observations(batch: int, length: int, dtype: np.dtype) -> Array:
    return jax.random.normal(jax.random.key(0), (length, batch), dtype)


@jax.jit
def _scan_means(phi: Array, gain: Array, offset: Array, y: Array, start: Array, design: Array) -> Array:
    def step(mean: Array, row: tuple[Array, Array, Array, Array]) -> tuple[Array, Array]:
        phi, gain, offset, y = row
        moved = [phi[i, 0] * mean[0] + phi[i, 1] * mean[1] + gain[i] * y + offset[i] for i in range(STATES)]
        mean = jnp.stack(moved)
        return mean, design[0] * mean[0] + design[1] * mean[1]

    return lax.scan(step, start, (phi, gain, offset, y))[1]


@jax.jit
def _scan_series(params: Params, y: Array, start: Array, cov: Array) -> Array:
    identity = jnp.eye(STATES)[:, :, None]

    def times(left: Array, right: Array) -> Array:
        return jnp.sum(left[:, :, None] * right[None], axis=1)

    def step(carry: tuple[Array, Array], y: Array) -> tuple[tuple[Array, Array], Array]:
        mean, cov = carry
        z = params.design
        state_obs_cov = jnp.sum(cov * z[None], axis=1)
        gain = state_obs_cov / (jnp.sum(z * state_obs_cov, axis=0) + params.obs_var)[None]
        gain = jnp.where(jnp.isnan(y)[None], 0.0, gain)
        error = jnp.where(jnp.isnan(y), 0, y - jnp.sum(z.astype(y.dtype) * mean, axis=0))
        mean = mean + gain.astype(y.dtype) * error[None]
        unexplained = identity - gain[:, None] * z[None]
        cov = times(times(unexplained, cov), unexplained.swapaxes(0, 1))
        cov = cov + gain[:, None] * gain[None] * params.obs_var[None, None]
        cov = times(times(params.transition, cov), params.transition.swapaxes(0, 1)) + params.state_cov
        return (jnp.sum(params.transition.astype(y.dtype) * mean[None], axis=1), cov), mean

    return lax.scan(step, (start, cov), y)[1]


def _disagreement(contenders: list[Contender]) -> float:
    """The largest distance of the first answer from the last, in units of the size of the last."""
    first, last = contenders[0].run(), contenders[-1].run()
    return float(jnp.max(jnp.abs(first - last)) / jnp.max(jnp.abs(last)))


def _report(batch: int, length: int, contenders: list[Contender], rounds: int) -> None:
    """Time everything in turns; the copy is last and the scan before it."""
    seconds: list[list[float]] = [[] for _ in contenders]
    for _ in range(rounds):
        for taken, contender in zip(seconds, contenders, strict=True):
            taken.append(_seconds(contender.run))
    rates = [batch * length / statistics.median(taken) for taken in seconds]
    bandwidths = [rate * contender.bytes_a_step for rate, contender in zip(rates, contenders, strict=True)]
    for contender, rate, bandwidth in zip(contenders, rates, bandwidths, strict=True):
        print(
            f"{batch:>9} {contender.name:34} {rate / 1e9:>10.3g} {rate / rates[-2]:>8.3g} "
            f"{bandwidth / bandwidths[-1]:>8.1%}"
        )


def _seconds(run: Callable[[], Array]) -> float:
    """Seconds a run, over as many as take a few milliseconds: one launch alone would time the host."""
    jax.block_until_ready(run())
    began = time.perf_counter()
    jax.block_until_ready(run())
    repeats = max(1, min(200, int(5e-3 / (time.perf_counter() - began))))
    began = time.perf_counter()
    for _ in range(repeats):
        answer = run()
    jax.block_until_ready(answer)
    return (time.perf_counter() - began) / repeats


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
