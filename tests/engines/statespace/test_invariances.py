"""What must not matter: neighbours, order, padding, and where a series is cut."""

from dataclasses import astuple, fields

import numpy as np
import pytest

from luna_serving.engines.statespace.batch import filter_batch
from luna_serving.engines.statespace.kinds import constant_velocity, local_level, local_linear_trend
from luna_serving.engines.statespace.model.initial import Known
from luna_serving.engines.statespace.model.model import Model
from luna_serving.engines.statespace.recursions.filter import filter_chunk
from luna_serving.engines.statespace.results.series import FullOutputs, SeriesResult
from luna_serving.engines.statespace.running import packing


def mixed(count: int, seed: int = 0, longest: int = 300) -> list[packing.Item]:
    """Series of all kinds, lengths (also none), starts and gaps."""
    rng = np.random.default_rng(seed)
    items: list[packing.Item] = []
    for place in range(count):
        y = rng.normal(size=rng.integers(0, longest)).cumsum()
        y[rng.random(len(y)) < 0.2] = np.nan
        variances = rng.uniform(0.1, 3, 3)
        model: Model = (
            local_level(obs_var=variances[0], level_var=variances[1]),
            local_linear_trend(obs_var=variances[0], level_var=variances[1], trend_var=variances[2]),
            constant_velocity(dt=variances[2], obs_var=variances[0], accel_var=variances[1]),
            local_level(obs_var=variances[0], level_var=variances[1], initial=Known([1.0], [[2.0]])),
        )[place % 4]
        items.append((y, model))
    return items


def assert_identical(one: SeriesResult, other: SeriesResult) -> None:
    np.testing.assert_array_equal(one.filtered_state, other.filtered_state)
    assert (one.full is None) == (other.full is None)
    if one.full is not None and other.full is not None:
        for field, left, right in zip(fields(FullOutputs), astuple(one.full), astuple(other.full), strict=True):
            np.testing.assert_array_equal(left, right, err_msg=field.name)


@pytest.mark.parametrize("variant", ["means", "full"])
def test_a_batch_answers_what_a_loop_over_its_series_answers(variant):
    items = mixed(40)
    together = filter_batch(items, variant).series
    for item, result in zip(items, together, strict=True):
        (alone,) = filter_batch([item], variant).series
        # Wider batches are other programs, in which XLA may round differently: not in the last ten bits.
        np.testing.assert_allclose(result.filtered_state, alone.filtered_state, rtol=1e-11, atol=1e-11)
        if variant == "full":
            np.testing.assert_allclose(
                result.full.predicted_state_cov, alone.full.predicted_state_cov, rtol=1e-11, atol=1e-11
            )
            assert result.full.loglike == pytest.approx(alone.full.loglike, rel=1e-12, abs=1e-12)
            assert result.full.nobs_diffuse == alone.full.nobs_diffuse


@pytest.mark.parametrize("variant", ["means", "full"])
def test_permuting_the_series_permutes_the_answers(variant):
    items = mixed(30, seed=1)
    order = np.random.default_rng(2).permutation(len(items))
    straight = filter_batch(items, variant).series
    permuted = filter_batch([items[place] for place in order], variant).series
    for place, result in zip(order, permuted, strict=True):
        assert_identical(result, straight[place])


def test_more_series_than_the_widest_batch_come_back_in_their_order():
    items = mixed(600, seed=3, longest=40)
    report = filter_batch(items, "means").report
    results = filter_batch(items, "means").series
    assert report.batches == 4
    for (y, model), result in zip(items, results, strict=True):
        assert result.model is model
        assert result.filtered_state.shape == (len(y), model.states)


@pytest.mark.parametrize("neighbour", ["overflowing", "all missing", "long", "huge"])
@pytest.mark.parametrize("variant", ["means", "full"])
def test_a_neighbour_does_not_change_an_answer_by_one_bit(variant, neighbour):
    item, still = mixed(4, seed=4)[3], local_level(obs_var=1.0, level_var=1.0)
    other: packing.Item = {
        "overflowing": (np.array([1e308, -1e308, 1e308]), still),
        "all missing": (np.full(250, np.nan), still),
        "long": (np.ones(256), still),
        "huge": (np.full(100, 1e150), still),
    }[neighbour]
    (alone,) = filter_batch([item], variant).series
    assert_identical(filter_batch([other, item, other], variant).series[1], alone)


@pytest.mark.parametrize("variant", ["means", "full"])
@pytest.mark.parametrize("states", [1, 2])
def test_chunks_that_carry_on_are_one_pass(states, variant):
    """Cut at 256, in the middle of a gap and once within the diffuse phase, against one chunk of 2048."""
    rng = np.random.default_rng(5)
    model = next(item[1] for item in mixed(4) if item[1].states == states)
    slow, usual = rng.normal(size=(2, 700)).cumsum(axis=1)
    slow[: 256 * 2 - 1] = np.nan  # its diffuse phase spans three chunks
    usual[250:260] = np.nan
    lanes = [packing.lane(y, model, None) for y in (slow, usual)]
    system, start = packing.pack_carry(lanes, packing.kind_of(model), 32)
    whole_carry, whole = filter_chunk(system, start, packing.pack_chunk(lanes, 0, 2048, 32), variant=variant)
    pieces, carry = [], start
    for first in range(0, 700, 256):
        chunk = packing.pack_chunk(lanes, first, 256, 32)
        carry, outputs = filter_chunk(system, carry, chunk, variant=variant)
        pieces.append({name: np.asarray(output)[:256] for name, output in outputs.items()})
    for name, output in whole.items():
        joined = np.concatenate([piece[name] for piece in pieces])[:700, ..., :2]
        np.testing.assert_allclose(joined, np.asarray(output)[:700, ..., :2], rtol=1e-12, atol=1e-12, err_msg=name)
    np.testing.assert_array_equal(carry.nobs_diffuse, whole_carry.nobs_diffuse)
    np.testing.assert_allclose(np.asarray(carry.mean)[:, :2], np.asarray(whole_carry.mean)[:, :2], rtol=1e-12)


def test_what_stands_in_the_padding_is_never_read():
    y = np.random.default_rng(6).normal(size=100).cumsum()
    model = local_linear_trend(obs_var=1.0, level_var=0.5, trend_var=0.1)
    lanes = [packing.lane(y, model, None)]
    system, carry = packing.pack_carry(lanes, packing.kind_of(model), 32)
    chunk = packing.pack_chunk(lanes, 0, 256, 32)
    _, clean = filter_chunk(system, carry, chunk, variant="full")
    chunk[100:] = 1e300
    chunk[:, 1:] = np.inf
    _, dirty = filter_chunk(system, carry, chunk, variant="full")
    for name, output in clean.items():
        rows = 101 if name.startswith("predicted") else 100
        np.testing.assert_array_equal(
            np.asarray(output)[:rows, ..., 0], np.asarray(dirty[name])[:rows, ..., 0], err_msg=name
        )


def test_filtered_timing_is_predicted_timing_one_transition_earlier():
    y = np.random.default_rng(8).normal(size=50).cumsum()
    transition, shock = np.array([[1.0, 1.0], [0.0, 1.0]]), np.diag([0.5, 0.1])
    mean, cov = np.array([1.0, 0.3]), np.array([[2.0, 0.4], [0.4, 1.0]])
    predicted = Known(transition @ mean, transition @ cov @ transition.T + shock)
    results = filter_batch(
        [
            (y, local_linear_trend(obs_var=1.0, level_var=0.5, trend_var=0.1, initial=start))
            for start in (Known(mean, cov, "filtered"), predicted, Known(mean, cov))
        ],
        "full",
    ).series
    assert_identical(results[0], results[1])
    assert results[0].filtered_state[0, 0] != results[2].filtered_state[0, 0]


def test_scaling_the_series_and_its_variances_scales_the_answer():
    """Also far from 1, where an absolute tolerance for the diffuse phase would go wrong."""
    y = np.random.default_rng(9).normal(size=60).cumsum()
    base = filter_batch([(y, constant_velocity(dt=1.0, obs_var=1.0, accel_var=0.1))], "full").series[0]
    for unit in (2.0**-40, 2.0**40):
        model = constant_velocity(dt=1.0, obs_var=unit**2, accel_var=0.1 * unit**2)
        scaled = filter_batch([(y * unit, model)], "full").series[0]
        np.testing.assert_allclose(scaled.filtered_state, base.filtered_state * unit, rtol=1e-9)


@pytest.mark.parametrize("dt", [1e-9, 1e-6, 1e-3, 1e3, 1e6])
def test_the_unit_of_time_does_not_matter(dt):
    y = np.random.default_rng(10).normal(size=60).cumsum()
    base = filter_batch([(y, constant_velocity(dt=1.0, obs_var=1.0, accel_var=0.1))], "full").series[0]
    track = filter_batch([(y, constant_velocity(dt=dt, obs_var=1.0, accel_var=0.1 / dt**4))], "full").series[0]
    np.testing.assert_allclose(track.filtered_signal, base.filtered_signal, rtol=1e-9)
    assert track.full.nobs_diffuse == 2
