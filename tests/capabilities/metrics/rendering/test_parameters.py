"""Parameters of Prometheus' HTTP API."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luna_serving.capabilities.metrics.rendering.errors import PrometheusError
from luna_serving.capabilities.metrics.rendering.parameters import (
    MAX_TIME_MS,
    MIN_TIME_MS,
    Instant,
    Listing,
    Range,
    label_in_path,
    read_fields,
    read_instant,
    read_listing,
    read_range,
)

NOW = 1_795_867_200_000


def instant(**fields):
    return read_instant({"query": ["up"], **{name: [text] for name, text in fields.items()}}, NOW)


def ranged(**fields):
    given_ = {"query": "up", "start": "0", "end": "60", "step": "15", **fields}
    return read_range({name: [text] for name, text in given_.items()})


def test_the_form_of_a_post_goes_before_its_query_string():
    fields = read_fields(
        b"query=a&match[]=x&time=1", "application/x-www-form-urlencoded; charset=utf-8", b"query=%C3%A9+b&match[]=y"
    )
    assert fields == {"query": ["é b", "a"], "match[]": ["y", "x"], "time": ["1"]}
    assert read_instant(fields, NOW).query == "é b"
    assert read_fields(b"query=a", "application/json", b"query=b") == {"query": ["a"]}


@pytest.mark.parametrize(("query", "body"), [(b"\xff=1", b""), (b"a=%ff", b""), (b"", b"&".join([b"a=1"] * 1_001))])
def test_forms_that_cannot_be_read_are_bad_data(query, body):
    with pytest.raises(PrometheusError, match="error parsing form values"):
        read_fields(query, "application/x-www-form-urlencoded", body)


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("", NOW),
        ("0", 0),
        ("1795867200", NOW),
        ("1795867200.0506", NOW + 51),
        ("1.7958672e9", NOW),
        ("-1.5", -1_500),
        (".001", 1),
        ("2026-11-28T12:00:00Z", NOW),
        ("2026-11-28T13:00:00.0509999999+01:00", NOW + 50),
        ("-292273086-05-16T16:47:06Z", MIN_TIME_MS),
        ("292277025-08-18T07:12:54.999999999Z", MAX_TIME_MS),
    ],
)
def test_times_are_seconds_or_rfc_3339(text, at):
    assert instant(time=text) == Instant("up", at, None, 300_000, 0)


@pytest.mark.parametrize(
    "text", ["x", "NaN", "Inf", "1e30", "2026-11-28", "2026-11-28T12:00:00", "2026-02-30T12:00:00Z", "1_0", "0x1"]
)
def test_other_times_are_bad_data(text):
    with pytest.raises(PrometheusError) as refused:
        instant(time=text)
    assert (refused.value.status, refused.value.message) == (
        400,
        f'invalid parameter "time": cannot parse "{text}" to a valid timestamp',
    )


def test_a_missing_query_is_an_empty_one_which_the_parser_refuses():
    assert read_instant({}, NOW).query == ""


@pytest.mark.parametrize(
    ("text", "step"),
    [("15", 15_000), ("0.5", 500), ("1m", 60_000), ("1h30m", 5_400_000), ("100ms", 100), ("1e1", 10_000)],
)
def test_steps_are_seconds_or_durations(text, step):
    assert ranged(step=text) == Range("up", 0, 60_000, step, None, 300_000, 0)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"start": ""}, 'invalid parameter "start": cannot parse "" to a valid timestamp'),
        ({"end": "-1"}, 'invalid parameter "end": end timestamp must not be before start time'),
        ({"step": "0"}, 'invalid parameter "step": zero or negative'),
        ({"step": "-1"}, 'invalid parameter "step": zero or negative'),
        ({"step": "0.0001"}, 'invalid parameter "step": zero or negative'),
        ({"step": ""}, 'invalid parameter "step": cannot parse "" to a valid duration'),
        ({"step": "1x"}, 'invalid parameter "step": cannot parse "1x" to a valid duration'),
        ({"step": "1e30"}, "overflows int64"),
        ({"end": "11001", "step": "1"}, "exceeded maximum resolution of 11,000 points"),
        ({"limit": "x"}, 'invalid parameter "limit": cannot parse "x"'),
        ({"limit": "-1"}, "limit must be non-negative"),
        ({"timeout": "x"}, 'invalid parameter "timeout"'),
        ({"lookback_delta": "x"}, 'invalid parameter "lookback_delta"'),
    ],
)
def test_wrong_ranges_are_bad_data(fields, message):
    with pytest.raises(PrometheusError) as refused:
        ranged(**fields)
    assert refused.value.status == 400
    assert message in refused.value.message


def test_eleven_thousand_intervals_are_the_most():
    assert ranged(end="11000", step="1").end_ms == 11_000_000


def test_timeouts_look_back_and_limit():
    assert ranged(timeout="1m", lookback_delta="30", limit="5") == Range("up", 0, 60_000, 15_000, 60.0, 30_000, 5)


def test_listings():
    assert read_listing({}) == Listing((), MIN_TIME_MS, MAX_TIME_MS, 0)
    fields = read_fields(b"match[]=up&match[]=%7Ba%3D%22b%22%7D&start=1&end=2&limit=3")
    assert read_listing(fields, needs_match=True) == Listing(("up", '{a="b"}'), 1_000, 2_000, 3)
    with pytest.raises(PrometheusError, match="no match"):
        read_listing({}, needs_match=True)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("job", "job"),
        ("U__http_2e_method", "http.method"),
        ("U__a__b", "a_b"),
        ("U__d_e9_bit", "débit"),
        ("U__a_b", "U__a_b"),
        ("U__a_110000_", "U__a_110000_"),
        ("U__a_d800_", "U__a_d800_"),
        ("__name__", "__name__"),
    ],
)
def test_labels_in_paths_are_unescaped(path, name):
    assert label_in_path(path) == name


@given(st.text(max_size=20), st.sampled_from(["time", "timeout", "lookback_delta", "limit"]))
def test_any_text_is_read_or_bad_data(text, name):
    try:
        instant(**{name: text})
    except PrometheusError as error:
        if error.status != 400:
            raise
