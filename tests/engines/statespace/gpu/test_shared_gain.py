"""The kernel of the shared gains, interpreted on a CPU, against a NumPy loop over time."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import NDArray

from luna_serving.engines.statespace.gpu.shared_gain import Means, filter_means

from .models import Case, draw, stiff_trend
from .plain import Answer, kalman

Floats = NDArray[np.float64]


class Shared(NamedTuple):
    """What `filter_means` takes, in float64, and what it must answer."""

    phi: Floats
    gain: Floats
    offset: Floats
    y: Floats
    start: Floats
    design: Floats
    answers: list[Answer]

    @property
    def means(self) -> Floats:
        return np.stack([answer.means for answer in self.answers], axis=-1)


def shared(case: Case) -> Shared:
    """All series get the first one's model, start's covariance and missing pattern; their own start and numbers."""
    gap = np.isnan(case.y[:, :1])
    y = np.where(gap, np.nan, np.nan_to_num(case.y))
    transition, design, obs_var, intercept, state_cov, cov = (
        array[..., 0]
        for array in (case.transition, case.design, case.obs_var, case.intercept, case.state_cov, case.cov)
    )
    answers = [
        kalman(transition, design, obs_var, intercept, state_cov, y[:, b], case.mean[:, b], cov)
        for b in range(y.shape[1])
    ]
    gain = answers[0].gains
    unexplained = np.eye(len(design)) - gain[:, :, None] * design
    phi, offset = unexplained @ transition, unexplained @ intercept
    phi[0], offset[0] = unexplained[0], 0.0  # the start is predicted already
    return Shared(phi, gain, offset, y, case.mean, design, answers)


def run(problem: Shared, *, signal: bool = False, length: int | None = None, dtype: type = np.float64) -> Means:
    arrays = (problem.phi, problem.gain, problem.offset, problem.y, problem.start)
    return filter_means(
        *(jnp.asarray(array, dtype) for array in arrays),
        jnp.asarray(problem.design, dtype) if signal else None,
        length=jnp.int32(len(problem.y) if length is None else length),
        interpret=True,
    )


@pytest.mark.parametrize(("states", "length", "batch"), [(1, 37, 45), (2, 41, 3), (3, 22, 64), (4, 19, 33)])
def test_filtered_means_are_the_plain_filters(states: int, length: int, batch: int) -> None:
    problem = shared(draw(states, states, length, batch))
    found = run(problem)
    np.testing.assert_allclose(found.filtered, problem.means, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(found.last, problem.means[-1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("states", [1, 3])
def test_a_design_turns_the_answer_into_one_signal(states: int) -> None:
    problem = shared(draw(10 + states, states, 29, 35))
    found = run(problem, signal=True)
    assert found.filtered.shape == problem.y.shape
    np.testing.assert_allclose(
        found.filtered, np.einsum("i,tib->tb", problem.design, problem.means), rtol=1e-11, atol=1e-12
    )
    np.testing.assert_allclose(found.last, problem.means[-1], rtol=1e-12, atol=1e-12)


def test_only_the_rows_asked_for_are_run() -> None:
    problem = shared(draw(20, 2, 41, 3))
    for length in (1, 7, 8, 9, 40):
        found = run(problem, length=length)
        np.testing.assert_allclose(found.filtered[:length], problem.means[:length], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(found.last, problem.means[length - 1], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(run(problem, length=0).last, problem.start)


def test_a_length_past_the_arrays_and_none_are_all_rows() -> None:
    problem = shared(draw(20, 2, 41, 3))
    arrays = (problem.phi, problem.gain, problem.offset, problem.y, problem.start)
    every = filter_means(*map(jnp.asarray, arrays), interpret=True)
    for before, after in zip(every, run(problem, length=10**6), strict=True):
        np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("field", ["phi", "gain", "offset"])
def test_an_array_that_does_not_fit_is_named(field: str) -> None:
    problem = shared(draw(20, 2, 41, 3))
    with pytest.raises(ValueError, match=f"^{field} must be float64"):
        run(problem._replace(**{field: getattr(problem, field)[:-1]}))


def test_five_states_are_refused() -> None:
    with pytest.raises(ValueError, match="1 to 4 states"):
        run(shared(draw(20, 5, 6, 3)))


def test_two_parts_are_one_pass() -> None:
    problem = shared(draw(21, 2, 41, 3))
    cut = 17
    head = run(problem, length=cut)
    left = len(problem.y) - cut
    # The rest moved to the front of arrays as long as before: what follows it is not to be run.
    rest = {name: np.roll(getattr(problem, name), -cut, axis=0) for name in ("phi", "gain", "offset", "y")}
    tail = run(problem._replace(**rest, start=np.asarray(head.last)), length=left)
    whole = run(problem)
    np.testing.assert_allclose(tail.filtered[:left], whole.filtered[cut:], rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(tail.last, whole.last, rtol=1e-14, atol=1e-14)


def test_a_missing_observation_is_not_looked_at_and_an_unexpected_one_spoils_its_own_series_alone() -> None:
    problem = shared(draw(22, 2, 41, 3))
    gaps = np.flatnonzero(np.isnan(problem.y[:, 0]))
    assert gaps.size
    clean = np.asarray(run(problem).filtered)
    assert np.isfinite(clean).all()
    there = next(t for t in range(10, 41) if t not in gaps)
    y = problem.y.copy()
    y[there, 1] = np.nan
    found = np.asarray(run(problem._replace(y=y)).filtered)
    assert np.isnan(found[there:, :, 1]).all()
    np.testing.assert_array_equal(found[..., [0, 2]], clean[..., [0, 2]])


def test_a_batch_of_many_programs_is_each_series_alone() -> None:
    # Past 2**14 a program has more lanes; the last one here is not full.
    few, batch = shared(draw(23, 2, 2, 5)), 2**14 + 9
    tiles = -(-batch // 5)
    many = few._replace(y=np.tile(few.y, tiles)[:, :batch], start=np.tile(few.start, tiles)[:, :batch])
    found = np.asarray(run(many).filtered)
    np.testing.assert_array_equal(found, np.tile(found[..., :5], tiles)[..., :batch])
    np.testing.assert_allclose(found[..., :5], few.means, rtol=1e-12, atol=1e-12)


def test_float64_gains_hold_float32_means_within_2e_4_posterior_standard_deviations() -> None:
    problem = shared(stiff_trend(24, 400, 8))
    found = np.asarray(run(problem, dtype=np.float32).filtered, dtype=np.float64)
    sd = np.sqrt(np.diagonal(problem.answers[0].covs, axis1=1, axis2=2))
    assert np.abs((found - problem.means) / sd[:, :, None])[50:].max() < 2e-4
