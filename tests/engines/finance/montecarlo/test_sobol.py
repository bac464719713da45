"""Nets in pieces are nets; bridges give independent increments; streams do not meet."""

import numpy as np
import pytest
from scipy.stats import qmc

from luna_serving.engines.finance.montecarlo.sampling import sobol
from luna_serving.engines.finance.montecarlo.sampling.bridge import Bridge
from luna_serving.engines.finance.montecarlo.sampling.counters import Use, stream
from luna_serving.engines.finance.montecarlo.sampling.sobol import BITS, directions, plain, points


def as_set(x: np.ndarray) -> list[tuple[float, ...]]:
    return sorted(map(tuple, x.T.tolist()))


@pytest.mark.parametrize("dimensions", [1, 7, 40])
def test_without_a_scramble_pieces_are_the_points_of_scipy(dimensions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The order within a power of two differs: natural here, Gray's there."""
    unshifted = np.zeros(dimensions, dtype=np.uint32)
    monkeypatch.setattr(sobol, "directions", lambda *_: (plain(dimensions), unshifted))
    net = qmc.Sobol(dimensions, scramble=False, bits=BITS)
    expected = net.random_base2(8).T + 0.5 * 2.0**-BITS
    pieces = [points(5, (2,), dimensions, first, 64) for first in range(0, 256, 64)]
    assert as_set(np.concatenate(pieces, axis=1)) == as_set(expected)


def test_a_scramble_keeps_the_net() -> None:
    """Sixty-four points have one in each box, however six bits are shared between two dimensions."""
    before = points_of(plain(2), 64)
    v, _ = directions(1, 3, 2)
    after = points_of(v, 64)
    for first in range(7):
        for x in (before, after):
            boxes = _leading(x[0], first) * 64 + _leading(x[1], 6 - first)
            assert len(set(boxes.tolist())) == 64


def points_of(v: np.ndarray, count: int) -> np.ndarray:
    """Points of direction numbers, as integers."""
    numbers = np.arange(count)
    x = np.zeros((len(v), count), dtype=np.uint32)
    for j in range(count.bit_length() - 1):
        x ^= np.where(numbers >> j & 1, v[:, j, None], np.uint32(0))
    return x


def _leading(x: np.ndarray, bits: int) -> np.ndarray:
    return x >> np.uint32(32 - bits) if bits else np.zeros_like(x)


def test_a_piece_does_not_depend_on_how_the_net_is_cut() -> None:
    whole = points(1, (0,), 3, 0, 512)
    for size in (32, 128):
        cut = [points(1, (0,), 3, first, size) for first in range(0, 512, size)]
        np.testing.assert_array_equal(np.concatenate(cut, axis=1), whole)


def test_nets_stand_after_each_other() -> None:
    both = points(1, (3, 5), 4, 32, 32)
    np.testing.assert_array_equal(both, np.concatenate([points(1, (s,), 4, 32, 32) for s in (3, 5)], axis=1))


def test_points_lie_inside_the_open_cube_and_fill_it_evenly() -> None:
    x = points(1, (0,), 2, 0, 1024)
    assert 0 < x.min() < x.max() < 1
    for row in x:
        np.testing.assert_array_equal(np.bincount((row * 1024).astype(int), minlength=1024), np.ones(1024))


def test_scrambles_and_seeds_differ() -> None:
    found = {points(seed, (scramble,), 1, 0, 1)[0, 0] for seed in range(3) for scramble in range(16)}
    assert len(found) == 48


@pytest.mark.parametrize("times", [(1.0,), (0.5, 1.0), (0.1, 0.4, 0.45, 2.0, 3.0), tuple(np.arange(1, 38) / 37)])
def test_a_bridge_is_an_orthogonal_change_of_its_normals(times: tuple[float, ...]) -> None:
    n = len(times)
    matrix = Bridge.of(times).increments(np.eye(n)[:, None, :].copy())[:, 0, :]
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(n), atol=1e-12)


def test_streams_of_uses_and_numbers_differ() -> None:
    drawn = {stream(1, use, number).random() for use in Use for number in range(100)}
    assert len(drawn) == 100 * len(Use)
    assert stream(1, Use.PATHS, 3).random() == stream(1, Use.PATHS, 3).random()
