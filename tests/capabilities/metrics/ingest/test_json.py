"""`POST /metrics/ingest` and `POST /metrics/batch`."""

import json
import math
from datetime import UTC, datetime, timedelta

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.capabilities.metrics.ingest.reading import BOUNDS, DAY, NOW, bits, read_or_refused, samples

from luna_serving.capabilities.metrics.ingest import json_batch
from luna_serving.capabilities.metrics.ingest.json_answer import answer
from luna_serving.capabilities.metrics.ingest.json_batch import JsonParser
from luna_serving.capabilities.metrics.ingest.json_sample import parse_sample
from luna_serving.capabilities.metrics.ingest.series_cache import SeriesCache
from luna_serving.wire.problems import Problem

TYPE = "https://luna.dev/problems/"


def batch(document):
    return JsonParser(SeriesCache()).parse(json.dumps(document).encode(), BOUNDS)


def one(document):
    return parse_sample(json.dumps(document).encode(), BOUNDS, SeriesCache())


def rejected(parsed):
    return [(each.index, str(each.reason), each.pointer) for each in parsed.rejections.kept]


def test_a_sample_is_read_with_its_labels_and_time():
    parsed = one({"name": "cpu", "value": 0.5, "timestamp": "2026-11-28T12:00:00Z", "labels": {"host": "a"}})
    assert samples(parsed) == [("cpu", {"host": "a"}, NOW, bits(0.5))]


def test_a_sample_without_a_time_is_of_now():
    assert samples(one({"name": "cpu", "value": 1})) == [("cpu", {}, NOW, bits(1.0))]
    assert samples(one({"name": "cpu", "value": 1, "timestamp": None, "labels": None})) == [("cpu", {}, NOW, bits(1.0))]


@pytest.mark.parametrize(
    ("stamp", "milliseconds"),
    [
        (NOW - 5, NOW - 5),
        (float(NOW), NOW),
        ("2026-11-28T13:00:00+01:00", NOW),
        ("2026-11-28t12:00:00z", NOW),
        ("2026-11-28 12:00:00Z", NOW),
        ("2026-11-28T11:59:59.9999Z", NOW - 1),
        ("2026-11-28T11:59:59.123456789Z", NOW - 877),
    ],
)
def test_times_are_rfc_3339_or_milliseconds(stamp, milliseconds):
    assert samples(one({"name": "cpu", "value": 1, "timestamp": stamp}))[0][2] == milliseconds


@pytest.mark.parametrize(
    "stamp",
    [str(NOW), "2026-11-28", "2026-11-28T12:00:00", "2026-02-30T12:00:00Z", "2026-W48-6", NOW + 0.5, True, [], ""],
)
def test_other_times_are_refused_with_a_pointer(stamp):
    with pytest.raises(Problem) as refused:
        one({"name": "cpu", "value": 1, "timestamp": stamp})
    assert refused.value.status == 422
    assert refused.value.extra["errors"][0]["pointer"] == "/timestamp"


@given(st.timedeltas(timedelta(0), timedelta(days=80)), st.integers(-14 * 60, 14 * 60))
def test_a_time_in_any_zone_is_its_instant(after, offset):
    at = datetime(2026, 9, 1, tzinfo=UTC) + after
    sign, minutes = "+" if offset >= 0 else "-", abs(offset)
    local = (at + timedelta(minutes=offset)).replace(tzinfo=None).isoformat()
    text = f"{local}{sign}{minutes // 60:02}:{minutes % 60:02}"
    found = samples(one({"name": "cpu", "value": 1, "timestamp": text}))[0][2]
    assert found == (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


@pytest.mark.parametrize(
    ("value", "meant"),
    [("NaN", math.nan), ("+Inf", math.inf), ("Inf", math.inf), ("-Inf", -math.inf), (2**63, 2.0**63)],
)
def test_values_that_json_lacks_are_texts(value, meant):
    assert samples(one({"name": "cpu", "value": value}))[0][3] == bits(meant)


@pytest.mark.parametrize("value", [None, "1", "nan", True, [], {}])
def test_other_values_are_refused(value):
    with pytest.raises(Problem) as refused:
        one({"name": "cpu", "value": value})
    assert refused.value.extra["errors"][0]["pointer"] == "/value"
    assert refused.value.extra["reason"] == f"{TYPE}invalid"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"name": ""}, "/name"),
        ({"name": 3}, "/name"),
        ({"name": None}, "/name"),
        ({"name": "a\nb"}, "/name"),
        ({"name": "a" * 1_025}, "/name"),
        ({"labels": {"host": 3}}, "/labels/host"),
        ({"labels": {"host": ["a"]}}, "/labels/host"),
        ({"labels": {"host": "a\0"}}, "/labels/host"),
        ({"labels": {"host": "a" * 2_049}}, "/labels/host"),
        ({"labels": {"": "a"}}, "/labels"),
        ({"labels": {"__name__": "a"}}, "/labels/__name__"),
        ({"labels": ["a"]}, "/labels"),
        ({"labels": {str(i): "a" for i in range(11)}}, "/labels"),
        ({"lables": {}}, "/lables"),
        ({"timestamp": NOW + 600_001}, "/timestamp"),
        ({"timestamp": NOW - 90 * DAY - 1}, "/timestamp"),
        ({"timestamp": 10**18}, "/timestamp"),
        ({"timestamp": 1e300}, "/timestamp"),
        ({"timestamp": -(10**18)}, "/timestamp"),
    ],
)
def test_what_is_wrong_with_a_sample_is_pointed_at(change, pointer):
    with pytest.raises(Problem) as refused:
        one({"name": "cpu", "value": 1, **change})
    assert refused.value.status == 422
    assert refused.value.extra["errors"][0]["pointer"] == pointer


def test_a_missing_member_is_named():
    with pytest.raises(Problem, match="/value: Field required"):
        one({"name": "cpu"})


def test_names_may_be_any_utf8_and_labels_without_a_value_are_none():
    parsed = one({"name": "débit.d'eau", "value": 1, "labels": {"lieu:où": "Besançon 🌊", "none": ""}})
    assert samples(parsed)[0][:2] == ("débit.d'eau", {"lieu:où": "Besançon 🌊"})


def test_items_are_accepted_and_rejected_one_by_one():
    parsed = batch(
        {
            "metrics": [
                {"name": "cpu", "value": 1, "timestamp": NOW},
                {"name": "cpu", "value": "x"},
                {"name": "cpu", "value": 2, "timestamp": NOW - 91 * DAY},
                {"name": "cpu", "value": 3, "timestamp": NOW, "labels": {"host": "a"}},
                7,
                {"name": "cpu", "value": 3, "timestamp": NOW + DAY},
            ]
        }
    )
    assert samples(parsed) == [("cpu", {}, NOW, bits(1.0)), ("cpu", {"host": "a"}, NOW, bits(3.0))]
    assert parsed.items.tolist() == [0, 3]
    assert rejected(parsed) == [
        (1, "invalid", "/metrics/1/value"),
        (2, "sample-too-old", "/metrics/2/timestamp"),
        (4, "invalid", "/metrics/4"),
        (5, "sample-too-new", "/metrics/5/timestamp"),
    ]


def test_the_answer_counts_and_lists_in_the_order_of_the_items():
    parsed = batch({"metrics": [{"name": "cpu", "value": 1}, {"name": "", "value": 1}]})
    assert orjson.loads(answer(1, parsed.rejections.kept)) == {
        "accepted": 1,
        "rejected": [
            {
                "index": 1,
                "type": f"{TYPE}invalid",
                "detail": "The metric's name must be a non-empty string.",
                "pointer": "/metrics/1/name",
            }
        ],
    }
    assert answer(2, []) == b'{"accepted":2}'


def test_columns_are_read_in_their_order():
    parsed = batch(
        {
            "series": [
                {"name": "cpu", "labels": {"host": "a"}, "timestamps": [NOW, NOW - 15_000], "values": [1, 2.5]},
                {"name": "mem", "timestamps": [NOW, "2026-11-28T12:00:00Z"], "values": ["NaN", 3]},
            ]
        }
    )
    assert samples(parsed) == [
        ("cpu", {"host": "a"}, NOW, bits(1.0)),
        ("cpu", {"host": "a"}, NOW - 15_000, bits(2.5)),
        ("mem", {}, NOW, bits(math.nan)),
        ("mem", {}, NOW, bits(3.0)),
    ]


@pytest.mark.parametrize(
    ("wrong", "reason", "pointer"),
    [
        ({"timestamps": [NOW], "values": [1, 2]}, "invalid", "/series/1/values"),
        ({"timestamps": [], "values": []}, "invalid", "/series/1/timestamps"),
        ({"timestamps": [NOW, NOW], "values": [1, None]}, "invalid", "/series/1/values/1"),
        ({"timestamps": [NOW, NOW], "values": [1, True]}, "invalid", "/series/1/values/1"),
        ({"timestamps": [NOW, True], "values": [1, 2]}, "invalid", "/series/1/timestamps/1"),
        ({"timestamps": [NOW, NOW - 91 * DAY], "values": [1, 2]}, "sample-too-old", "/series/1/timestamps"),
        ({"timestamps": [NOW, 2**63], "values": [1, 2]}, "sample-too-new", "/series/1/timestamps"),
        ({"values": [1, 2]}, "invalid", "/series/1/timestamps"),
        ({"timestamps": [NOW], "values": [1], "value": 1}, "invalid", "/series/1/value"),
        (
            {"timestamps": [NOW], "values": [1], "labels": {str(i): "x" for i in range(11)}},
            "too-many-labels",
            "/series/1/labels",
        ),
    ],
)
def test_a_series_with_anything_wrong_is_rejected_as_a_whole(wrong, reason, pointer):
    good = {"name": "cpu", "timestamps": [NOW], "values": [1]}
    parsed = batch({"series": [good, {"name": "bad", **wrong}, {**good, "name": "mem"}]})
    assert [each[0] for each in samples(parsed)] == ["cpu", "mem"]
    assert parsed.items.tolist() == [0, 2]
    assert rejected(parsed) == [(1, reason, pointer)]
    assert parsed.rejections.samples.total() == len(wrong["values"]) if wrong["values"] else True


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"", ""),
        (b"[]", ""),
        (b"{}", ""),
        (b'{"metrics": [], "series": []}', ""),
        (b'{"metrics": {}}', "/metrics"),
        (b'{"metric": []}', "/metric"),
        (b'{"metrics": [{"name": "a", "value": NaN}]}', ""),
        (b'{"metrics": [{"name": "a", "value": 1e999}]}', ""),
        (b"\xef\xbb\xbf{}", ""),
        (b'{"metrics": [{"name": "\\ud800", "value": 1}]}', ""),
        (b'{"metrics": [' + b"[]," * 5_000 + b"[]]}", ""),
        (b'{"metrics": [' + b"1," * 1_000 + b"1]}", "/metrics"),
        (orjson.dumps({"series": [{"name": "a", "timestamps": [NOW] * 1_001, "values": [1] * 1_001}]}), "/series"),
    ],
)
def test_a_body_that_is_no_batch_is_422(body, pointer):
    with pytest.raises(Problem) as refused:
        JsonParser(SeriesCache()).parse(body, BOUNDS)
    assert refused.value.status == 422
    assert refused.value.extra["errors"][0]["pointer"] == pointer


def test_an_empty_batch_is_accepted():
    assert samples(batch({"metrics": []})) == []
    assert samples(batch({"series": []})) == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=3)
    | st.just("NaN"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=5,
)
MEMBERS = ("name", "value", "timestamp", "labels", "timestamps", "values", "x")
ITEM = (
    st.dictionaries(st.sampled_from(MEMBERS), JSON | st.just("cpu") | st.just(NOW) | st.just([NOW]), max_size=5) | JSON
)


@given(st.sampled_from(("metrics", "series")), st.lists(ITEM, max_size=5))
def test_whatever_the_items_are_each_is_accepted_or_rejected(member, items):
    # Integers beyond 64 bits and lone surrogates are not read.
    parsed = read_or_refused(lambda: JsonParser(SeriesCache()).parse(json.dumps({member: items}).encode(), BOUNDS), 422)
    if parsed is None:
        return
    decided = {*parsed.items.tolist(), *(each.index for each in parsed.rejections.kept)}
    assert decided == set(range(len(items)))
    assert orjson.loads(answer(parsed.batch.samples, parsed.rejections.kept))


def test_a_cache_that_is_full_begins_again_and_the_answers_stay():
    parser = JsonParser(SeriesCache(capacity=10))
    for first in range(0, 100, 7):
        names = [f"m{(first + i) % 30}" for i in range(9)]
        body = json.dumps({"metrics": [{"name": name, "value": 1} for name in names]}).encode()
        assert [each[0] for each in samples(parser.parse(body, BOUNDS))] == names


def test_a_known_series_is_held_against_the_limit_of_its_account():
    parser = JsonParser(SeriesCache())
    item = {"name": "cpu", "value": 1, "labels": {"a": "1", "b": "2"}}
    body = json.dumps({"metrics": [item]}).encode()
    assert len(samples(parser.parse(body, BOUNDS))) == 1
    strict = BOUNDS.at(NOW, DAY, max_labels=1, max_samples=10)
    assert rejected(parser.parse(body, strict)) == [(0, "too-many-labels", "/metrics/0/labels")]


def test_a_long_series_is_read_again_each_time():
    cache = SeriesCache()
    item = {"name": "cpu", "value": 1, "labels": {"a": "x" * 2_000}}
    for _ in range(2):
        parsed = JsonParser(cache).parse(json.dumps({"metrics": [item]}).encode(), BOUNDS)
        assert samples(parsed)[0][1] == item["labels"]
    assert not cache.under(BOUNDS.max_labels)


def test_an_answer_lists_some_of_many_rejections_and_counts_all(monkeypatch):
    monkeypatch.setattr(json_batch, "MAX_LISTED", 5)
    rejections = batch({"metrics": [1] * 8}).rejections
    assert (len(rejections.kept), rejections.items) == (5, 8)
    body = json.loads(answer(0, rejections.kept, rejections.items - len(rejections.kept)))
    assert (len(body["rejected"]), body["rejected_items"]) == (5, 8)
    assert "rejected_items" not in json.loads(answer(0, rejections.kept))
