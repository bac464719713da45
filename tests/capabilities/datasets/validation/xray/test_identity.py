"""Claims about de-identification: what identifies a person is found, and never shown."""

import pytest
from tests.capabilities.datasets.validation.xray import making
from tests.capabilities.datasets.validation.xray.checking import checked, ids
from tests.capabilities.datasets.validation.xray.making import changed, dicom, element, item, text

from luna_serving.capabilities.datasets.validation.xray.profile import REMOVED, REPLACED

IDENTIFYING = {
    0x00080090: ("PN", "Grey^Meredith", "PHI001"),
    0x00081070: ("PN", "Karev^Alex", "PHI001"),
    0x00101060: ("PN", "Montgomery", "PHI001"),
    0x00101000: ("LO", "MRN-4711", "PHI002"),
    0x00080050: ("SH", "ACC98765", "PHI002"),
    0x00100030: ("DA", "19400305", "PHI003"),
    0x00080020: ("DA", "20260101", "PHI004"),
    0x00080030: ("TM", "101112", "PHI004"),
    0x00080080: ("LO", "Seattle Grace", "PHI005"),
    0x00101040: ("LO", "15 Main Street", "PHI005"),
    0x00102154: ("SH", "+49 30 123456", "PHI005"),
    0x00181000: ("LO", "SN-0815-XY", "PHI006"),
    0x00081010: ("SH", "ROOM7CR", "PHI006"),
    0x00081030: ("LO", "Chest of Mrs Doe", "PHI007"),
    0x00104000: ("LT", "Daughter of the mayor", "PHI007"),
    0x00101010: ("AS", "067Y", "PHI008"),
    0x00102160: ("SH", "Martian", "PHI008"),
}


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("tag", IDENTIFYING, ids=lambda tag: f"{tag:08X}")
def test_identifying_elements_are_found_by_tag_and_never_shown(tmp_path, tag, declared):
    vr, value, rule = IDENTIFYING[tag]
    elements = making.clean() | {tag: text(vr, value)}
    if not declared:
        del elements[0x00120062]
    found, summary = checked(tmp_path, dicom(elements))
    allowed = declared and tag in REPLACED and rule != "PHI004"
    assert (rule in ids(found)) is not allowed
    for finding in found:
        if finding.id == rule:
            assert finding.tag == f"({tag >> 16:04X},{tag & 0xFFFF:04X})" or not declared
            assert f"VR {vr}, {len(text(vr, value)[1])} bytes, hash " in finding.message or not declared
    for part in value.replace("^", " ").split():
        if len(part) > 3:
            assert part not in repr(found) + repr(summary)


def test_hashes_tell_equal_values_of_a_set_and_nothing_across_sets(tmp_path):
    def hashed(value: str, salt: bytes) -> str:
        found, _ = checked(tmp_path, dicom(changed(x00101000=text("LO", value))), salt=salt)
        return next(f.message for f in found if f.id == "PHI002").rpartition("hash ")[2]

    assert hashed("MRN-4711", b"one") == hashed("MRN-4711 ", b"one")
    assert len({hashed("MRN-4711", b"one"), hashed("MRN-4712", b"one"), hashed("MRN-4711", b"two")}) == 3


@pytest.mark.parametrize("value", ["", "   ", "ANONYMOUS", "Anonymized", "anon^", "REMOVED", "XXX", "n/a"])
def test_what_de_identifiers_write_is_no_value(tmp_path, value):
    assert checked(tmp_path, dicom(changed(x00081070=text("PN", value))))[0] == []


def test_elements_in_sequences_are_found(tmp_path):
    inner = item(element(0x00100010, text("PN", "Doe^Jane")), element(0x00102110, text("LO", "Nuts, cats")))
    found, _ = checked(tmp_path, dicom(changed(x00400275=("SQ", inner))))
    assert {f.tag for f in found} == {"(0010,2110)", "(0040,0275)"}
    assert "inside (0040,0275)" in next(f.message for f in found if f.tag == "(0010,2110)")


@pytest.mark.parametrize(
    ("code", "tag", "value"),
    [
        ("113107", 0x00080020, text("DA", "20260101")),
        ("113109", 0x00181000, text("LO", "SN-0815")),
        ("113112", 0x00080080, text("LO", "Seattle Grace")),
        ("113105", 0x00081030, text("LO", "Chest")),
        ("113108", 0x00101010, text("AS", "067Y")),
        ("113111", 0x00190010, text("LO", "MAKER")),
    ],
)
def test_options_of_the_profile_are_honoured_where_they_are_declared(tmp_path, code, tag, value):
    elements = making.clean() | {tag: value}
    assert len(checked(tmp_path, dicom(elements))[0]) == 1
    elements[0x00120064] = making.method("113100", code)
    assert checked(tmp_path, dicom(elements))[0] == []
    # The word is worth nothing where the identity was not removed.
    elements[0x00120062] = text("CS", "NO")
    assert "PHI011" in ids(checked(tmp_path, dicom(elements))[0])


def test_shifted_dates_are_right_where_the_file_says_so(tmp_path):
    elements = making.clean() | {0x00080020: text("DA", "20260101"), 0x00280303: text("CS", "MODIFIED")}
    assert checked(tmp_path, dicom(elements))[0] == []


def test_private_groups_are_counted_not_quoted(tmp_path):
    private = {
        0x00190010: text("LO", "MAKER"),
        0x00191001: text("LO", "Doe^Jane"),
        0x00191002: ("SQ", item(element(0x00191003, text("LO", "Roe")))),
    }
    found, _ = checked(tmp_path, dicom(making.clean() | private))
    assert [(f.id, f.count, f.tag) for f in found] == [("PHI009", 4, "(0019,0010)")]


def test_text_in_the_pixels_overlays_and_old_ages(tmp_path):
    assert ids(checked(tmp_path, dicom(changed(x00280301=text("CS", "YES"))))[0]) == {"PHI012"}
    assert ids(checked(tmp_path, dicom(changed(0x00280301)))[0]) == {"PHI013"}
    assert ids(checked(tmp_path, dicom(changed(x60003000=("OW", bytes(512)))))[0]) == {"PHI016"}
    assert "PHI010" in ids(checked(tmp_path, dicom(changed(x00101010=text("AS", "093Y"))))[0])


def test_a_declared_name_that_looks_like_one_is_doubted(tmp_path):
    assert ids(checked(tmp_path, dicom(changed(x00100010=text("PN", "Doe^Jane"))))[0]) == {"PHI017"}
    assert checked(tmp_path, dicom(changed(x00100010=text("PN", "P0001"))))[0] == []


def test_a_patients_name_in_the_file_name_is_found(tmp_path):
    elements = changed(x00100010=text("PN", "Doering"))
    assert ids(checked(tmp_path, dicom(elements), "scans/doering-2.dcm")[0]) == {"PHI019"}


def test_the_profile_has_every_attribute_once():
    # PS3.15 2026c, table E.1-1: 655 rows, of which 3 stand for groups and 1 is the trailing padding.
    assert not REMOVED.keys() & REPLACED.keys()
    assert len(REMOVED) + len(REPLACED) == 651
    assert {0x00100010, 0x00100020, 0x00080050} <= REPLACED.keys()
    assert {0x00101000, 0x00104000, 0x00101040, 0x00080080, 0x00181000} <= REMOVED.keys()
