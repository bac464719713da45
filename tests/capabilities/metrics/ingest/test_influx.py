"""`POST /influx/write`."""

import math

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.capabilities.metrics.ingest.reading import BOUNDS, DAY, NOW, bits, samples

from luna_serving.capabilities.metrics.ingest.influx import PRECISIONS, InfluxParser, answer
from luna_serving.capabilities.metrics.ingest.series_cache import SeriesCache
from luna_serving.wire.problems import Problem


def parse(text, precision="ms"):
    body = text.encode() if isinstance(text, str) else text
    return InfluxParser(SeriesCache()).parse(body, precision, BOUNDS)


def values(text):
    """Values by name, where labels and times do not matter."""
    return {name: value for name, _, _, value in samples(parse(text))}


def test_a_line_gives_a_sample_per_field():
    found = samples(parse(f"cpu,host=a,zone=b idle=97.5,user=2i,value=1 {NOW}"))
    labels = {"host": "a", "zone": "b"}
    assert found == [
        ("cpu_idle", labels, NOW, bits(97.5)),
        ("cpu_user", labels, NOW, bits(2.0)),
        ("cpu_value", labels, NOW, bits(1.0)),
    ]


@pytest.mark.parametrize(
    ("precision", "stamp", "at"),
    [
        ("ns", NOW * 10**6 + 999_999, NOW),
        ("n", NOW * 10**6, NOW),
        ("us", NOW * 1_000 + 999, NOW),
        ("u", NOW * 1_000, NOW),
        ("ms", NOW, NOW),
        ("s", NOW // 1_000, NOW),
        ("m", NOW // 60_000, NOW),
        ("h", NOW // 3_600_000, NOW),
    ],
)
def test_times_are_in_the_precision_and_rounded_down(precision, stamp, at):
    assert samples(parse(f"cpu v=1 {stamp}", precision))[0][2] == at


def test_a_line_without_a_time_is_of_now():
    assert samples(parse("cpu v=1"))[0][2] == NOW


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1.0),
        ("-1.5e3", -1500.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("1E+2", 100.0),
        ("-9223372036854775808i", -(2.0**63)),
        ("18446744073709551615u", 2.0**64),
        ("t", 1.0),
        ("TRUE", 1.0),
        ("F", 0.0),
        ("false", 0.0),
    ],
)
def test_values_of_fields(text, value):
    assert values(f"m f={text}") == {"m_f": bits(value)}


@pytest.mark.parametrize(
    "text",
    [
        "1ii",
        "9223372036854775808i",
        "1.5i",
        "-1u",
        "18446744073709551616u",
        "yes",
        "0x1",
        "1e999",
        "NaN",
        "inf",
        "i",
        "\uff11",
    ],
)
def test_other_values_are_rejected(text):
    parsed = parse(f"m f={text}")
    assert (samples(parsed), parsed.rejections.items) == ([], 1)


def test_strings_are_skipped():
    assert values('m s="a, b=c \\" d",n=1') == {"m_n": bits(1.0)}
    parsed = parse('m s="only"')
    assert (samples(parsed), parsed.rejections.items) == ([], 0)


def test_escapes():
    found = samples(parse(r'my\ disk\,x,pa\=th=C:\ \,\\,q=a\b fr\ ee=1,b="x\\" 1795867200000'))
    assert found == [("my disk,x_fr ee", {"pa=th": "C: ,\\", "q": "a\\b"}, NOW, bits(1.0))]


def test_quotes_outside_of_values_are_plain_characters():
    assert samples(parse('m"x,t="a" f=1'))[0][:2] == ('m"x_f', {"t": '"a"'})


def test_comments_empty_lines_and_line_ends():
    parsed = parse(f'# it\'s "a" comment\r\n\n  \ncpu v=1 {NOW}\r\n#x\ncpu v=2 {NOW}\n')
    assert [each[3] for each in samples(parsed)] == [bits(1.0), bits(2.0)]


def test_a_string_may_have_lines_in_it():
    parsed = parse('a s="one\ntwo # three\n",n=1\nb f=2\nc f=x')
    assert values('a s="one\ntwo # three\n",n=1\nb f=2') == {"a_n": bits(1.0), "b_f": bits(2.0)}
    assert parsed.rejections.kept[0].index == 5


@pytest.mark.parametrize(
    "line",
    [
        "cpu",
        "cpu ",
        " v=1",
        "cpu,host v=1",
        "cpu,host= v=1",
        "cpu,=a v=1",
        "cpu,host=a,host=b v=1",
        "cpu v",
        "cpu v=",
        "cpu =1",
        "cpu v=1,",
        "cpu v=1 x",
        "cpu v=1 1.5",
        "cpu v=1 1 1",
        "cpu v=1 99999999999999999999999",
        "cpu v=1=2",
        'cpu v="a',
        'cpu v="a"b',
        'cpu v="a" x',
        ",host=a v=1",
        "cpu,__name__=x v=1",
        "cpu,a=b,,c=d v=1",
    ],
)
def test_a_malformed_line_is_rejected_with_its_number_and_the_others_are_not(line):
    parsed = parse(f"a v=1 {NOW}\n{line}")
    assert [each[0] for each in samples(parsed)] == ["a_v"]
    assert [each.index for each in parsed.rejections.kept] == [2]
    status, body = answer(parsed.rejections)
    assert status == 400
    document = orjson.loads(body)
    assert (document["code"], document["line"]) == ("invalid", 2)
    assert document["message"].startswith("partial write: ")


def test_lines_outside_the_bounds_of_time_are_rejected():
    parsed = parse(f"a v=1 {NOW}\nb v=1 {NOW - 91 * DAY}\nc v=1 {NOW + DAY}")
    assert [each[0] for each in samples(parsed)] == ["a_v"]
    assert [(each.index, str(each.reason)) for each in parsed.rejections.kept] == [
        (2, "sample-too-old"),
        (3, "sample-too-new"),
    ]


def test_the_answer_to_good_lines_is_204():
    assert answer(parse("a v=1").rejections) == (204, b"")


@pytest.mark.parametrize(
    ("body", "precision", "status"), [(b"a v=1", "d", 422), (b"a v=\xff", "ms", 400), (b"\n" * 1_001, "ms", 422)]
)
def test_what_is_refused_as_a_whole(body, precision, status):
    with pytest.raises(Problem) as refused:
        parse(body, precision)
    assert refused.value.status == status


PLAIN = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"), exclude_characters="\\"), min_size=1, max_size=5
)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


def escaped(text, special):
    return "".join(f"\\{c}" if c in special else c for c in text)


@given(
    PLAIN.filter(lambda text: not text.startswith("#") and text.strip() == text),
    st.dictionaries(PLAIN, PLAIN, max_size=3),
    st.dictionaries(PLAIN, NUMBERS | st.text(st.characters(codec="utf-8"), max_size=5), min_size=1, max_size=3),
)
def test_any_line_is_read_back(measurement, tags, fields):
    if "__name__" in tags or any("\0" in v for v in tags.values()):
        return
    head = ",".join(
        [escaped(measurement, ", "), *(f"{escaped(k, ',= ')}={escaped(v, ',= ')}" for k, v in tags.items())]
    )
    texts = {
        name: '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"' if isinstance(value, str) else repr(value)
        for name, value in fields.items()
    }
    assigned = ",".join(escaped(name, ",= ") + "=" + text for name, text in texts.items())
    line = f"{head} {assigned} {NOW}"
    expected = [
        (f"{measurement}_{name}", tags, NOW, bits(value))
        for name, value in fields.items()
        if not isinstance(value, str)
    ]
    parsed = parse(f"{line}\nlast v=1 {NOW}")
    assert not parsed.rejections.kept
    assert samples(parsed) == [*expected, ("last_v", {}, NOW, bits(1.0))]


@given(st.text(st.sampled_from('ab=, \\"\n#1i.t'), max_size=40), st.sampled_from(sorted(PRECISIONS)))
def test_arbitrary_text_never_crashes(text, precision):
    parsed = parse(text, precision)
    assert all(math.isfinite(value) for value in parsed.batch.values)
    samples(parsed)
