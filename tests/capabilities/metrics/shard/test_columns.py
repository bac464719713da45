"""Bytes of chunks and of write-ahead rows, runs, partials, the index: each against a plain reference."""

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.capabilities.metrics.shard.shards import key

from luna_serving.capabilities.metrics.shard.encoding import (
    CHUNK_SAMPLES,
    DAY_MS,
    UnknownEncodingError,
    decode_chunk,
    decode_write,
    encode_chunk,
    encode_write,
    pieces,
)
from luna_serving.capabilities.metrics.shard.index import SeriesIndex
from luna_serving.capabilities.metrics.shard.partials import combined, pack, partials_of, totals, unpack
from luna_serving.capabilities.metrics.shard.rates import Bucket
from luna_serving.capabilities.metrics.shard.runs import merged, run_of, series_of, times_of
from luna_serving.engines.promql.api import match_all, parse_selector

START = 1_790_000_000_000
any_bits = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=50)


@given(bits=any_bits, gaps=st.lists(st.integers(1, 10_000), min_size=50, max_size=50))
def test_every_float_survives_a_chunk_and_a_write_ahead_row_bit_for_bit(bits: list[int], gaps: list[int]) -> None:
    values = np.array(bits, np.uint64).view(np.float64)
    times = START + np.cumsum(gaps[: len(bits)])
    at, found = decode_chunk(encode_chunk(times, values), int(times[0]))
    assert (at.tolist(), found.view(np.uint64).tolist()) == (times.tolist(), bits)
    half = len(bits) // 2
    ids, counts = np.array([3, 9]), np.array([half, len(bits) - half])
    series, at, found = decode_write(encode_write(ids, counts, times, values))
    assert series.tolist() == [3] * half + [9] * (len(bits) - half)
    assert (at.tolist(), found.view(np.uint64).tolist()) == (times.tolist(), bits)


def test_bytes_of_a_later_release_are_refused() -> None:
    chunk = encode_chunk(np.array([START]), np.array([1.0]))
    with pytest.raises(UnknownEncodingError, match="version 9"):
        decode_chunk(b"\x09" + chunk[1:], START)


def test_pieces_cross_no_day_and_are_of_bounded_size() -> None:
    times = np.arange(START, START + 3 * DAY_MS, 30_000)
    parts = list(pieces(times))
    assert [each.start for each in parts[1:]] == [each.stop for each in parts[:-1]]
    assert (parts[0].start, parts[-1].stop) == (0, len(times))
    for each in parts:
        assert 0 < each.stop - each.start <= CHUNK_SAMPLES
        assert len(set((times[each] // DAY_MS).tolist())) == 1


samples = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 20), st.floats(-1e6, 1e6)), max_size=40)


@given(batches=st.lists(samples, min_size=1, max_size=6))
def test_merged_runs_hold_the_sample_that_was_written_last(batches: list[list[tuple[int, int, float]]]) -> None:
    expected = {(series, START + at): value for each in batches for series, at, value in each}
    runs = []
    for each in batches:
        columns = [np.array(column) for column in zip(*each, strict=True)] or [np.empty(0)] * 3
        ids, at, values = columns[0].astype(np.int64), columns[1].astype(np.int64), columns[2].astype(np.float64)
        runs.append(run_of(ids, START + at, values, START - 5))
    run = merged(runs)
    keys = zip(series_of(run.keys).tolist(), times_of(run.keys, START - 5).tolist(), strict=True)
    assert list(zip(keys, run.values.tolist(), strict=True)) == sorted(expected.items())


@given(values=st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=200), interval=st.sampled_from([7, 60, 1_000]))
def test_partials_are_those_of_a_plain_loop_and_combine(values: list[float], interval: int) -> None:
    times = START + 3 * np.arange(len(values))
    rows = unpack(pack(partials_of(times, np.array(values), interval)))
    for found, width in ((rows, interval), (combined(rows, 12 * interval), 12 * interval)):
        buckets: dict[int, list[float]] = {}
        for at, value in zip(times.tolist(), values, strict=True):
            buckets.setdefault(at // width * width, []).append(value)
        assert found["start_ms"].tolist() == list(buckets)
        assert found["count"].tolist() == [len(each) for each in buckets.values()]
        assert found["minimum"].tolist() == [min(each) for each in buckets.values()]
        assert found["maximum"].tolist() == [max(each) for each in buckets.values()]
        assert found["first"].tolist() == [each[0] for each in buckets.values()]
        assert found["last"].tolist() == [each[-1] for each in buckets.values()]
        assert totals(found) == pytest.approx([math.fsum(each) for each in buckets.values()], rel=1e-15, abs=1e-15)


def test_sums_of_infinities_and_nans_are_those_of_floats() -> None:
    values = np.array([1.0, np.inf, 2.0, np.inf, -np.inf, np.nan])
    assert totals(partials_of(START // 6 * 6 + np.arange(6), values, 3)).tolist()[0] == np.inf
    assert np.isnan(totals(partials_of(START // 6 * 6 + np.arange(6), values, 6))[0])


SELECTORS = [
    'load{host="a"}',
    'load{host!="a"}',
    'load{host=~"a|b"}',
    'load{host!~"a|b"}',
    'load{zone=""}',
    'load{zone!=""}',
    'load{zone=~".*"}',
    'load{zone=~".+", host!="b"}',
    '{__name__=~"l.*", zone!~"x|"}',
    '{host="c", none=""}',
    '{__name__!="load", host=~".+"}',
    'load{none=~"x"}',
]


@pytest.mark.parametrize("text", SELECTORS)
def test_the_index_selects_what_passes_all_conditions(text: str) -> None:
    index = SeriesIndex()
    matchers = parse_selector(text)
    for number, (name, host, zone) in enumerate(product(("load", "cpu"), "abc", ("", "x", "y")), 1):
        index.add(key(name, host=host, zone=zone), number)
    index.remove([5])
    expected = [n for n in range(1, 19) if n != 5 and match_all(matchers, index.labels(n))]
    assert index.select(matchers).tolist() == expected
    assert index.select(matchers).tolist() == expected, "from the memory of selections"
    index.add(key("load", host="a", zone="z"), 19)
    assert (19 in index.select(matchers)) is match_all(matchers, index.labels(19))


def test_a_bucket_admits_ten_seconds_worth_and_then_the_rate() -> None:
    bucket = Bucket()
    assert bucket.wait_s(1_000, 100.0, 0.0) == 0.0
    assert bucket.wait_s(100, 100.0, 0.0) == 1.0
    assert bucket.wait_s(100, 100.0, 1.0) == 0.0
    assert bucket.wait_s(5_000, 100.0, 1.0) == 10.0, "one larger than the bucket waits until it is empty"
    assert bucket.wait_s(5_000, 100.0, 11.0) == 0.0
    assert bucket.wait_s(1, 100.0, 11.0) == pytest.approx(40.01)
