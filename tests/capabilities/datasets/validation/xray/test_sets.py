"""Claims about X-ray sets: copies, splits, labels and confounding."""

import dataclasses
import random

import pytest
from tests.capabilities.datasets.validation.xray import making
from tests.capabilities.datasets.validation.xray.checking import SALT, checked, ids

from luna_serving.capabilities.datasets.validation.contract import Labels, XrayContract
from luna_serving.capabilities.datasets.validation.findings import Finding, Findings, Severity
from luna_serving.capabilities.datasets.validation.xray.labels import read_labels
from luna_serving.capabilities.datasets.validation.xray.report import digest
from luna_serving.capabilities.datasets.validation.xray.sets import SetSummary, check_set
from luna_serving.capabilities.datasets.validation.xray.summary import Reduced, Summary

LABELS = Labels("labels.csv", "file", "label")
CONTRACT = XrayContract(LABELS)


def image(number: int, name: str = "", **changes: object) -> Summary:
    """The summary of an image like no other."""
    rng = random.Random(number)
    given: dict[str, object] = {
        "name": name or f"{number}.dcm",
        "format": "dicom",
        "digest": f"{number:064x}",
        "rows": 64,
        "columns": 64,
        "bits": 12,
        "photometric": "MONOCHROME2",
        "pixels": Reduced(f"{number:032x}", rng.getrandbits(64), rng.randbytes(1024).hex()),
        "instance": f"i{number}",
        "patient": f"p{number}",
    }
    return Summary(**given | changes)


def together(
    images: list[Summary], csv: str | None = None, contract: XrayContract = CONTRACT, folder=None
) -> tuple[list[Finding], SetSummary]:
    found: list[Finding] = []
    findings = Findings(found.append)
    rows = None
    if csv is not None:
        assert contract.labels is not None
        file = folder / "labels.csv"
        file.write_bytes(csv.encode() if isinstance(csv, str) else csv)
        rows = read_labels(file, contract.labels, findings, salt=SALT)
    else:
        contract = XrayContract()
    return found, check_set(images, rows, contract, findings)


def table(labels: dict[str, str]) -> str:
    return "file,label\n" + "".join(f"{file},{label}\n" for file, label in labels.items())


def two_classes(count: int) -> dict[str, str]:
    return {f"{number}.dcm": "ab"[number % 2] for number in range(count)}


def test_there_is_nothing_to_say_about_a_clean_set(tmp_path):
    found, summary = together([image(n) for n in range(30)], table(two_classes(30)), folder=tmp_path)
    assert found == []
    assert summary.classes == {"a": 15, "b": 15}
    assert summary.patients == summary.images == 30


def test_copies_of_pixels_and_instances_are_found():
    pixels = image(1).pixels
    found, _ = together([image(1), image(2, pixels=pixels), image(3, instance="i1"), image(4)])
    assert {(f.id, f.paths, f.count) for f in found} == {
        ("SET103", ("1.dcm", "2.dcm"), 1),
        ("SET106", ("1.dcm", "3.dcm"), 1),
    }


def test_near_and_inverted_copies_are_found_in_real_images(tmp_path):
    pixels = making.image(1)
    variants = {
        "1.dcm": pixels,
        "2.dcm": pixels + 20,
        "3.dcm": ((1 << 12) - 1 - pixels).astype("uint16"),
        "4.dcm": making.image(2),
    }
    images = []
    for number, (name, each) in enumerate(variants.items()):
        _, summary = checked(tmp_path, making.dicom(making.clean(each, number, bits=13)), name)
        images.append(summary)
    found, _ = together(images)
    assert {(f.id, f.paths) for f in found} == {("SET104", ("1.dcm", "2.dcm")), ("SET105", ("1.dcm", "3.dcm"))}


def test_the_same_image_with_two_labels_is_an_error(tmp_path):
    images = [image(n) for n in range(4)]
    images[1] = dataclasses.replace(images[1], pixels=images[0].pixels)
    assert "SET109" in ids(together(images, table(two_classes(4)), folder=tmp_path)[0])


@pytest.mark.parametrize("by_column", [True, False])
def test_patients_and_images_in_two_parts_of_the_split_are_found(tmp_path, by_column):
    names = ["train/1.dcm", "train/2.dcm", "test/3.dcm", "test/4.dcm"]
    images = [image(n + 1, name) for n, name in enumerate(names)]
    images[2] = dataclasses.replace(images[2], patient="p1", pixels=images[1].pixels)
    if by_column:
        images = [dataclasses.replace(i, name=i.name.split("/")[1]) for i in images]
        contract = XrayContract(Labels("labels.csv", "file", "label", split_column="part"))
        csv = "file,label,part\n1.dcm,a,x\n2.dcm,b,x\n3.dcm,b,y\n4.dcm,a,y\n"
        found, summary = together(images, csv, contract, tmp_path)
    else:
        found, summary = together(images)
    leaks = {f.id: f for f in found}
    assert leaks["SET107"].severity is leaks["SET108"].severity is Severity.ERROR
    assert len(leaks["SET107"].paths) == len(leaks["SET108"].paths) == 2
    assert sorted(summary.parts.values()) == [2, 2]


def test_the_contracts_patients_count_before_those_of_the_files(tmp_path):
    contract = XrayContract(Labels("labels.csv", "file", "label", "part", "person"))
    csv = "file,label,part,person\n1.dcm,a,x,Jane Roe\n2.dcm,b,x,John\n3.dcm,a,y,Jane Roe\n4.dcm,b,y,Jim\n"
    found, summary = together([image(n) for n in range(1, 5)], csv, contract, tmp_path)
    assert [f.id for f in found] == ["SET107"]
    assert digest(b"Jane Roe", SALT) in found[0].message
    assert "Jane" not in repr(found) + repr(summary)


def test_a_patient_is_the_same_in_a_file_and_in_the_labels(tmp_path):
    _, summary = checked(tmp_path, making.dicom(making.clean(number=7)))
    assert summary is not None
    assert summary.patient == digest(b"P0007", SALT)


def test_one_code_for_all_images_names_no_patients():
    images = [image(n, f"{'train' if n % 2 else 'test'}/{n}.dcm", patient="p") for n in range(30)]
    found, _ = together(images)
    assert [(f.id, f.severity) for f in found] == [("SET122", Severity.INFO)]


@pytest.mark.parametrize(
    ("csv", "rule", "row"),
    [
        ("", "SET110", None),
        ("file;label\n0.dcm;a\n\n1.dcm;b\n", None, None),
        ("\ufefffile,label\n0.dcm,a\n1.dcm,b\n", None, None),
        ("file,label\n0.dcm,a\nb/1.dcm,b\n", "SET112", 1),
        ("file,label\n0,a\n1,b\n", None, None),
        ("file,klass\n0.dcm,a\n1.dcm,b\n", "SET111", None),
        ("file,label,label\n0.dcm,a,a\n1.dcm,b,b\n", "SET111", None),
        ("file,label\n0.dcm,a\n", "SET113", None),
        ("file,label\n0.dcm,a\n1.dcm,b\n0.dcm,b\n", "SET114", None),
        ("file,label\n0.dcm,a\n1.dcm,\n", "SET115", 1),
        ("file,label\n0.dcm,a\n1.dcm,b,c\n", "SET124", 1),
        ("file,label\n0.dcm,a\n,b\n", "SET125", 1),
        ('file,label\n0.dcm,a\n"1.dcm,b\n', "SET113", None),
        ("file,label\n0.dcm,a\n1.dcm," + "x" * 300 + "\n", "SET124", 1),
        ("file,label\n0.dcm,a\n1.dcm,a\n", "SET118", None),
    ],
)
def test_labels_that_cannot_be_used_name_their_row(tmp_path, csv, rule, row):
    found, _ = together([image(0), image(1)], csv, folder=tmp_path)
    errors = [f for f in found if f.severity is Severity.ERROR]
    if rule is None:
        assert errors == []
    else:
        assert [(f.row) for f in errors if f.id == rule][:1] == [row], errors
        assert all(f.path or f.paths for f in errors)


def test_labels_that_are_no_utf_8_name_the_line(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_bytes(b"file,label\n0.dcm,a\n1.dcm,\xe4\n")
    found: list[Finding] = []
    assert read_labels(file, LABELS, Findings(found.append), salt=SALT) == []
    assert [(f.id, f.message) for f in found] == [("SET110", "Line 3 is not UTF-8, at byte 25.")]


def test_missing_labels_are_an_error():
    found: list[Finding] = []
    check_set([image(0)], None, CONTRACT, Findings(found.append))
    assert [f.id for f in found] == ["SET110"]


def test_rare_classes_are_warnings(tmp_path):
    labels = {f"{n}.dcm": "a" if n else "b" for n in range(40)}
    found, _ = together([image(n) for n in range(40)], table(labels), folder=tmp_path)
    assert ids(found) == {"SET116", "SET117"}
    assert [f.value for f in found if f.id == "SET116"] == ["b"]


def test_labels_that_look_like_identifiers_are_not_shown(tmp_path):
    labels = {f"{n}.dcm": f"Person {n}" for n in range(40)}
    found, summary = together([image(n) for n in range(40)], table(labels), folder=tmp_path)
    assert ids(found) == {"SET119"}
    assert "Person" not in repr(found)
    assert summary.classes == {}


def test_acquisition_that_tells_the_class_is_found(tmp_path):
    labels = two_classes(60)
    images = [
        image(n, acquisition={"model": f"m{n % 2}", "kvp": f"k{n % 3}", "manufacturer": f"f{n % 7 % 4}"})
        for n in range(60)
    ]
    found, summary = together(images, table(labels), folder=tmp_path)
    assert [(f.id, f.column) for f in found] == [("SET120", "model")]
    assert summary.confounders["model"] == 1
    assert summary.confounders["kvp"] < 0.1


def test_two_photometric_interpretations_in_one_set_are_a_warning():
    images = [image(n, photometric=f"MONOCHROME{n % 2 + 1}") for n in range(4)]
    assert ids(together(images)[0]) == {"SET121"}


def test_a_set_without_images_is_an_error():
    assert ids(together([])[0]) == {"SET123"}
