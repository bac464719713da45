"""Remote write 1.0 and 2.0, held against google.protobuf."""

import random
import struct

import cramjam
import pytest
from benchmarks.metrics.prometheus_messages import Request, WriteRequest
from google.protobuf.message import DecodeError
from hypothesis import example, given
from hypothesis import strategies as st
from tests.capabilities.metrics.ingest.reading import BOUNDS, DAY, NOW, bits, read_or_refused, samples

from luna_serving.capabilities.metrics.ingest.remote_write import Protocol, RemoteWriteParser, answer, negotiated
from luna_serving.capabilities.metrics.ingest.results import Metadata
from luna_serving.capabilities.metrics.ingest.series_cache import SeriesCache
from luna_serving.wire.problems import Problem

STALE = struct.unpack("<d", struct.pack("<Q", 0x7FF0000000000002))[0]
MAX_BYTES = 1 << 20


def packed(raw):
    return bytes(cramjam.snappy.compress_raw(raw))


def parse(protocol, raw, parser=None):
    return (parser or RemoteWriteParser(SeriesCache(), MAX_BYTES)).parse(protocol, packed(raw), BOUNDS)


def v1(series, metadata=()):
    """A request; series are (labels, samples), each a list of pairs."""
    request = WriteRequest()
    for labels, points in series:
        made = request.timeseries.add()
        for name, value in labels:
            made.labels.add(name=name, value=value)
        for at, value in points:
            made.samples.add(timestamp=at, value=value)
    for each in metadata:
        request.metadata.add(**each)
    return request


def v2(series, metadata=None):
    request = Request()
    symbols = {"": 0}
    for labels, points in series:
        made = request.timeseries.add()
        made.labels_refs.extend(symbols.setdefault(text, len(symbols)) for pair in labels for text in pair)
        for at, value in points:
            made.samples.add(timestamp=at, value=value)
        if metadata:
            kind, help_text, unit = metadata
            made.metadata.type = kind
            made.metadata.help_ref = symbols.setdefault(help_text, len(symbols))
            made.metadata.unit_ref = symbols.setdefault(unit, len(symbols))
    request.symbols.extend(symbols)
    return request


BUILD = {Protocol.V1: v1, Protocol.V2: v2}
BOTH = pytest.mark.parametrize("protocol", list(Protocol))
NAME = ("__name__", "up")


@BOTH
def test_a_scrape_is_read_in_the_order_of_the_request(protocol):
    series = [([NAME, ("host", f"h{i}")], [(NOW - i, i / 2)]) for i in range(300)]
    raw = BUILD[protocol](series).SerializeToString()
    parser = RemoteWriteParser(SeriesCache(), MAX_BYTES)
    expected = [("up", {"host": f"h{i}"}, NOW - i, bits(i / 2)) for i in range(300)]
    assert samples(parse(protocol, raw, parser)) == expected
    assert samples(parse(protocol, raw, parser)) == expected, "from the cache"


@BOTH
def test_staleness_markers_and_other_nans_are_kept_bit_for_bit(protocol):
    payload = struct.unpack("<d", struct.pack("<Q", 0xFFF8000000ABCDEF))[0]
    values = [STALE, payload, float("nan"), -0.0, 5e-324]
    parser = RemoteWriteParser(SeriesCache(), MAX_BYTES)
    for points in ([[(NOW, value)] for value in values], [[(NOW - i, value) for i, value in enumerate(values)]]):
        raw = BUILD[protocol]([([NAME], each) for each in points]).SerializeToString()
        for _ in range(2):
            assert [each[3] for each in samples(parse(protocol, raw, parser))] == [bits(value) for value in values]


@BOTH
def test_known_and_new_series_in_one_request_keep_their_order(protocol):
    parser = RemoteWriteParser(SeriesCache(), MAX_BYTES)
    known = [([NAME, ("host", f"h{i}")], [(NOW, i)]) for i in range(0, 40, 2)]
    parse(protocol, BUILD[protocol](known).SerializeToString(), parser)
    mixed = [([NAME, ("host", f"h{i}")], [(NOW, i), (NOW - 1, 0.0)][: 1 + i % 3 % 2]) for i in range(40)]
    found = samples(parse(protocol, BUILD[protocol](mixed).SerializeToString(), parser))
    assert found == [("up", dict(ls[1:]), at, bits(float(v))) for ls, points in mixed for at, v in points]


@BOTH
@pytest.mark.parametrize(
    ("labels", "detail"),
    [
        ([("host", "a")], "must have one label __name__, and has 0"),
        ([NAME, NAME], "must have one label __name__, and has 2"),
        ([NAME, ("host", "a"), ("host", "b")], "'host' is given twice"),
        ([NAME, ("", "a")], "label's name must be a non-empty string"),
        ([("__name__", "")], "name must be a non-empty string"),
        ([NAME, *((f"l{i}", "x") for i in range(11))], "metrics.labels is 10"),
    ],
)
def test_a_series_with_invalid_labels_is_rejected_and_the_others_are_not(protocol, labels, detail):
    raw = BUILD[protocol]([(labels, [(NOW, 1.0), (NOW - 1, 1.0)]), ([NAME], [(NOW, 2.0)])]).SerializeToString()
    parsed = parse(protocol, raw)
    assert samples(parsed) == [("up", {}, NOW, bits(2.0))]
    assert parsed.rejections.samples.total() == 2
    assert detail in parsed.rejections.kept[0].detail
    answered = answer(protocol, 1, parsed.rejections)
    assert answered.status == 400
    assert b"1 samples were written. 2 samples were rejected." in answered.body


@BOTH
def test_labels_in_another_order_are_the_same_series(protocol):
    raw = BUILD[protocol]([([("b", "2"), NAME, ("a", "1"), ("c", "")], [(NOW, 1.0)])]).SerializeToString()
    assert samples(parse(protocol, raw)) == [("up", {"a": "1", "b": "2"}, NOW, bits(1.0))]


@BOTH
def test_samples_outside_the_bounds_of_time_are_rejected_one_by_one(protocol):
    points = [
        (NOW - 91 * DAY, 1.0),
        (NOW, 2.0),
        (NOW + 600_000, 3.0),
        (NOW + 600_001, 4.0),
        (-5, 5.0),
        (2**63 - 1, 6.0),
    ]
    parsed = parse(protocol, BUILD[protocol]([([NAME], points), ([("__name__", "b")], points[:1])]).SerializeToString())
    assert [each[3] for each in samples(parsed)] == [bits(2.0), bits(3.0)]
    assert parsed.rejections.samples == {"sample-too-old": 5}
    assert parsed.rejections.kept[0].detail.startswith("up{}: 4 of 6 samples: the first is at ")


@BOTH
def test_native_histograms_are_rejected_and_counted(protocol):
    request = BUILD[protocol]([([NAME], [(NOW, 1.0)]), ([("__name__", "h")], [])])
    request.timeseries[1].histograms.add(count_int=3, timestamp=NOW)
    request.timeseries[1].histograms.add(count_int=3, timestamp=NOW)
    parsed = parse(protocol, request.SerializeToString())
    assert samples(parsed) == [("up", {}, NOW, bits(1.0))]
    assert parsed.rejections.samples == {"native-histogram": 2}


@BOTH
def test_exemplars_are_counted_and_dropped(protocol):
    request = BUILD[protocol]([([NAME], [(NOW, 1.0)])])
    request.timeseries[0].exemplars.add(value=1, timestamp=NOW)
    parsed = parse(protocol, request.SerializeToString())
    assert (parsed.batch.samples, parsed.exemplars, parsed.rejections.items) == (1, 1, 0)


def test_metadata_of_1_is_returned():
    entry = {"type": 1, "metric_family_name": "requests_total", "help": "Requests.", "unit": "1"}
    parsed = parse(Protocol.V1, v1([], [entry, {"type": 99, "metric_family_name": "x"}]).SerializeToString())
    assert parsed.metadata == [
        Metadata("requests_total", "counter", "Requests.", "1"),
        Metadata("x", "unknown", "", ""),
    ]


@pytest.mark.parametrize(
    ("name", "kind", "family"),
    [("a_total", 1, "a_total"), ("a_bucket", 3, "a"), ("a_sum", 3, "a"), ("a_count", 5, "a"), ("a_sum", 2, "a_sum")],
)
def test_metadata_of_2_is_of_the_family_and_once(name, kind, family):
    series = [([("__name__", name), ("host", f"h{i}")], [(NOW, 1.0)]) for i in range(3)]
    parser = RemoteWriteParser(SeriesCache(), MAX_BYTES)
    for _ in range(2):
        parsed = parse(Protocol.V2, v2(series, (kind, "Help.", "s")).SerializeToString(), parser)
        (metadata,) = parsed.metadata
        assert (metadata.name, metadata.help, metadata.unit) == (family, "Help.", "s")


def test_a_reference_beyond_the_symbols_rejects_the_series():
    request = v2([([NAME], [(NOW, 1.0)]), ([NAME, ("host", "a")], [(NOW, 1.0)])])
    request.timeseries[1].labels_refs[3] = 77
    parsed = parse(Protocol.V2, request.SerializeToString())
    assert (parsed.batch.samples, parsed.rejections.items) == (1, 1)
    request.timeseries[1].labels_refs.pop()
    assert "takes two" in parse(Protocol.V2, request.SerializeToString()).rejections.kept[0].detail


def test_2_answers_the_counts_that_its_senders_need():
    parsed = parse(Protocol.V2, v2([([NAME], [(NOW, 1.0)])]).SerializeToString())
    answered = answer(Protocol.V2, 1, parsed.rejections)
    assert (answered.status, answered.body) == (204, b"")
    assert answered.headers == {
        "X-Prometheus-Remote-Write-Samples-Written": "1",
        "X-Prometheus-Remote-Write-Histograms-Written": "0",
        "X-Prometheus-Remote-Write-Exemplars-Written": "0",
    }
    assert answer(Protocol.V1, 1, parsed.rejections).headers == {}


@pytest.mark.parametrize(
    ("content_type", "encoding", "protocol"),
    [
        (None, None, Protocol.V1),
        ("application/x-protobuf", "snappy", Protocol.V1),
        ("application/x-protobuf;proto=prometheus.WriteRequest", "Snappy", Protocol.V1),
        ("application/x-protobuf;proto=io.prometheus.write.v2.Request", "snappy", Protocol.V2),
        ('Application/X-Protobuf; charset=x; Proto="io.prometheus.write.v2.Request"', "snappy", Protocol.V2),
    ],
)
def test_the_content_type_names_the_protocol(content_type, encoding, protocol):
    assert negotiated(content_type, encoding) is protocol


@pytest.mark.parametrize(
    ("content_type", "encoding"),
    [
        ("application/json", "snappy"),
        ("application/x-protobuf;proto=io.prometheus.write.v3.Request", "snappy"),
        ("application/x-protobuf", "zstd"),
        ("application/x-protobuf", "gzip"),
    ],
)
def test_other_types_and_codings_are_415(content_type, encoding):
    with pytest.raises(Problem) as refused:
        negotiated(content_type, encoding)
    assert refused.value.status == 415


@BOTH
def test_a_body_that_is_no_block_of_snappy_is_400(protocol):
    raw = BUILD[protocol]([([NAME], [(NOW, 1.0)])]).SerializeToString()
    for body in (b"", raw, packed(raw)[:-3], bytes(cramjam.snappy.compress(raw))):
        with pytest.raises(Problem) as refused:
            RemoteWriteParser(SeriesCache(), MAX_BYTES).parse(protocol, body, BOUNDS)
        assert refused.value.status == 400


def test_a_body_that_would_be_too_large_is_refused_before_it_is_decompressed():
    bomb = packed(bytes(2 * MAX_BYTES))
    assert len(bomb) < MAX_BYTES / 8
    for body in (bomb, b"\xff\xff\xff\xff\x0f"):
        with pytest.raises(Problem) as refused:
            RemoteWriteParser(SeriesCache(), MAX_BYTES).parse(Protocol.V1, body, BOUNDS)
        assert refused.value.status == 413


@BOTH
def test_too_many_series_or_samples_are_refused(protocol):
    for series in ([([NAME], [(NOW, 1.0)])] * 1_001, [([NAME], [(NOW, 1.0)] * 1_001)]):
        with pytest.raises(Problem, match="a call may have 1000"):
            parse(protocol, BUILD[protocol](series).SerializeToString())


@BOTH
def test_a_request_of_many_small_fields_is_refused_in_bounded_time(protocol):
    with pytest.raises(Problem, match="more fields than any valid request"):
        RemoteWriteParser(SeriesCache(), 1 << 24).parse(protocol, packed(b"\x40\x00" * (1 << 21)), BOUNDS)


TEXTS = st.sampled_from(["", "a", "b", "__name__", "é", "x" * 130])
POINTS = st.lists(
    st.tuples(st.sampled_from([0, 1, -1, NOW, NOW - 1, 2**62, -(2**63)]), st.sampled_from([0.0, 1.5, STALE])),
    max_size=5,
)
SERIES = st.lists(
    st.tuples(st.lists(st.tuples(TEXTS, TEXTS), max_size=3).map(lambda more: [NAME, *more]), POINTS), max_size=6
)


def reference(request):
    """The accepted samples of a request that google.protobuf has read, worked out the simple way."""
    found = []
    for series in request.timeseries:
        if isinstance(request, WriteRequest):
            pairs = [(label.name, label.value) for label in series.labels]
        else:
            texts = [request.symbols[ref] if ref < len(request.symbols) else None for ref in series.labels_refs]
            if len(texts) % 2 or None in texts:
                continue
            pairs = list(zip(texts[::2], texts[1::2], strict=True))
        labels = dict(pairs)
        if len(labels) < len(pairs) or not labels.get("__name__") or "" in labels or any(map(unclean, labels)):
            continue
        name = labels.pop("__name__")
        kept = {label: value for label, value in labels.items() if value}
        if unclean(name) or len(kept) > 10 or any("\0" in value for value in kept.values()):
            continue
        within = (each for each in series.samples if BOUNDS.oldest_ms <= each.timestamp <= BOUNDS.newest_ms)
        found += [(name, kept, each.timestamp, bits(each.value)) for each in within]
    return found


def unclean(name):
    return any(ord(c) < 0x20 or ord(c) == 0x7F for c in name)


@BOTH
@given(series=SERIES, seed=st.integers(0, 9))
def test_any_request_is_read_as_google_protobuf_reads_it(protocol, series, seed):
    request = BUILD[protocol](series)
    if protocol is Protocol.V1 and seed % 2:
        request.metadata.add(type=1, metric_family_name="a")
    parser = RemoteWriteParser(SeriesCache(), MAX_BYTES)
    raw = request.SerializeToString()
    for _ in range(2):
        assert samples(parse(protocol, raw, parser)) == reference(request)


MESSAGES = {Protocol.V1: WriteRequest, Protocol.V2: Request}


@BOTH
@given(series=SERIES, data=st.data())
def test_a_damaged_request_is_read_as_google_protobuf_reads_it_or_refused(protocol, series, data):
    good = BUILD[protocol]([*series, ([NAME], [(NOW, 1.0)])]).SerializeToString()
    parser = RemoteWriteParser(SeriesCache(), MAX_BYTES)
    parse(protocol, good, parser)
    raw = bytearray(good)
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw) - 1))
        change = data.draw(st.sampled_from(["set", "cut", "insert"]))
        if change == "set":
            raw[at] = data.draw(st.integers(0, 255))
        elif change == "insert":
            raw[at:at] = data.draw(st.binary(max_size=4))
        elif at:
            del raw[at:]
    compare(protocol, bytes(raw), parser)


@BOTH
@given(raw=st.binary(max_size=60))
@example(raw=b"\x0b\x0c")
@example(raw=b"\x0b" * 50)
@example(raw=b"\x0a\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01")
@example(raw=b"\x8a\x80\x80\x80\x00\x00")
def test_arbitrary_bytes_are_read_as_google_protobuf_reads_them_or_refused(protocol, raw):
    compare(protocol, raw, None)


def compare(protocol, raw, parser):
    try:
        expected = MESSAGES[protocol].FromString(raw)
    except DecodeError:
        expected = None
    parsed = read_or_refused(lambda: parse(protocol, raw, parser), 400)
    if parsed is None:
        assert expected is None or refers_too_far(expected)
    else:
        # What is not read, such as the inside of an exemplar, may be malformed.
        assert expected is None or samples(parsed) == reference(expected)


def refers_too_far(request):
    return isinstance(request, Request) and any(
        max(each.metadata.help_ref, each.metadata.unit_ref) >= len(request.symbols) for each in request.timeseries
    )


@BOTH
@given(body=st.binary(max_size=200))
def test_arbitrary_bodies_never_crash(protocol, body):
    read_or_refused(lambda: RemoteWriteParser(SeriesCache(), MAX_BYTES).parse(protocol, body, BOUNDS), 400, 413)


@BOTH
def test_a_cache_that_is_shared_between_requests_of_other_shapes_gives_the_same_samples(protocol):
    shuffled = random.Random(3)
    parser = RemoteWriteParser(SeriesCache(capacity=50), MAX_BYTES)
    for _ in range(60):
        series = [
            (
                [NAME, ("host", f"h{shuffled.randrange(30)}")],
                [(NOW - i, 1.0) for i in range(shuffled.choice([1, 1, 1, 2, 9]))],
            )
            for _ in range(20)
        ]
        request = BUILD[protocol](series)
        assert samples(parse(protocol, request.SerializeToString(), parser)) == reference(request)
