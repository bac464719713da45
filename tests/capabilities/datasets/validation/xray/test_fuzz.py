"""Claims about any file: the validator ends without an exception, and quotes no value."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.capabilities.datasets.validation.xray import making
from tests.capabilities.datasets.validation.xray.checking import checked
from tests.capabilities.datasets.validation.xray.making import dicom, png, text

SECRETS = ("ZWINGLI", "QUIRINUS", "KLAPPERSCHLANGE", "XYLOPHON", "19371124")


def identified() -> dict[int, making.Value]:
    """A small image with values that must not be shown."""
    return making.clean(making.image(1, side=32)) | {
        0x00100010: text("PN", "ZWINGLI^QUIRINUS"),
        0x00100030: text("DA", "19371124"),
        0x00104000: text("LT", "KLAPPERSCHLANGE"),
        0x00191001: text("LO", "XYLOPHON"),
        0x00081140: ("SQ", making.item(making.element(0x00100010, text("PN", "ZWINGLI")))),
    }


PLAIN = dicom(identified())
FILES = {
    "explicit": PLAIN,
    "implicit": dicom({t: v for t, v in identified().items() if v[0] != "SQ"}, making.IMPLICIT),
    "jpeg": making.encapsulated(identified(), making.JPEG_LS, b"\xff\xd8\xff\xf7\0\x0b\x0c\0\x20\0\x20\1\1\x11\0" * 9),
    "rle": making.encapsulated(identified(), making.RLE, bytes([2, 0, 0, 0, 64, 0, 0, 0, 80, 0, 0, 0]) + bytes(180)),
    "j2k": making.encapsulated(identified(), making.JPEG_2000, b"\xff\x4f\xff\x51\0\x29" + bytes(300)),
    "png": png(making.image(1, side=32), making.chunk(b"tEXt", b"Title\0ZWINGLI QUIRINUS")),
}
flips = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=12)


def unquoted(tmp_path_factory, capfd, caplog, data: bytes) -> None:
    found, summary = checked(tmp_path_factory.getbasetemp(), data, "fuzzed.dcm")
    out, err = capfd.readouterr()
    everything = repr(found) + repr(summary) + out + err + caplog.text
    assert not [secret for secret in SECRETS if secret in everything]


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=flips, head=st.booleans())
def test_changed_bytes_never_raise_and_never_show_a_value(tmp_path_factory, capfd, caplog, kind, changes, head):
    data = bytearray(FILES[kind])
    reach = min(len(data), 900) if head else len(data)
    for at, value in changes:
        data[at % reach] = value
    unquoted(tmp_path_factory, capfd, caplog, bytes(data))


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(start=st.integers(0, 1 << 20), length=st.integers(0, 400), put=st.binary(max_size=40))
def test_bytes_put_in_and_taken_away_never_raise_either(tmp_path_factory, capfd, caplog, kind, start, length, put):
    data = FILES[kind]
    at = start % len(data)
    unquoted(tmp_path_factory, capfd, caplog, data[:at] + put + data[at + length :])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(body=st.binary(max_size=600), syntax=st.sampled_from([making.EXPLICIT, making.IMPLICIT, making.BIG_ENDIAN]))
def test_any_bytes_as_a_data_set(tmp_path_factory, capfd, caplog, body, syntax):
    unquoted(tmp_path_factory, capfd, caplog, dicom(body, syntax))
