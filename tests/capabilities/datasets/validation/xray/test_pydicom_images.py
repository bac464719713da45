"""Claims about real CR images with identities in them: they are invalid, and no output shows a value."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pydicom
import pytest
from pydicom.data import get_testdata_file
from tests.capabilities.datasets.validation.xray import making

from luna_serving.capabilities.datasets.report.document import local_document_of
from luna_serving.capabilities.datasets.report.page import page_of
from luna_serving.capabilities.datasets.validation.check import check_set
from luna_serving.capabilities.datasets.validation.contract import XrayContract
from luna_serving.capabilities.datasets.validation.manifest import SetFile, sha256_of
from luna_serving.capabilities.datasets.validation.reports import Report
from luna_serving.commands.data_check import CheckOptions, check

CHEST = ["RG1_UNCR.dcm", "RG1_UNCI.dcm", "RG1_J2KR.dcm", "RG1_J2KI.dcm"]
EXTREMITY = ["RG3_UNCR.dcm", "RG3_UNCI.dcm", "RG3_J2KR.dcm", "RG3_J2KI.dcm"]
# Values of these are numbers, dates of the standard's versions or codes that findings say in their own words.
SHOWN_VRS = {"US", "SS", "UL", "SL", "FL", "FD", "OB", "OW", "SQ", "DS", "IS", "CS"}


def place(name: str) -> Path:
    found = get_testdata_file(name, download=False)
    assert found is not None, "pydicom-data is not installed: `make install`"
    return Path(found)


def values_of(path: Path) -> set[str]:
    """Every text in a file that is long enough to be told from a message."""
    dataset = pydicom.dcmread(path, stop_before_pixels=True)
    texts = set()
    for each in (*dataset.iterall(), *dataset.file_meta):
        if each.VR not in SHOWN_VRS and each.tag not in {0x00020002, 0x00020010, 0x00080016}:
            texts |= {part for part in str(each.value).replace("^", "\\").split("\\") if len(part) >= 5}
    # Texts that name a transfer syntax or a file, not a person.
    return texts - {"Uncompressed"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The images under names of their own."""
    folder = tmp_path_factory.mktemp("set")
    for number, name in enumerate(CHEST + EXTREMITY):
        shutil.copyfile(place(name), folder / f"{number}.dcm")
    return folder


@pytest.fixture(scope="module")
async def report(folder) -> tuple[Report, list]:
    found: list = []
    files = [SetFile(f.name, f, f.stat().st_size, sha256_of(f)) for f in sorted(folder.iterdir())]
    return await check_set(files, XrayContract(), each=found.append), found


def of_file(report: Report, number: int) -> set[str]:
    return {f.id for f in report.files[number].findings}


async def test_they_are_invalid_for_their_identities_not_for_their_pixels(report):
    checked, found = report
    assert not checked.valid
    assert len(checked.files) == 8
    for number in range(8):
        ids = of_file(checked, number)
        assert {"PHI001", "PHI002", "PHI003", "PHI004", "PHI005", "PHI007", "PHI011", "DCM025"} <= ids
        assert not ids & {"PIX001", "PIX002", "PIX004", "DCM005", "DCM018"}
    assert {f.id for f in found if f.severity == "error"} == {
        "PHI001",
        "PHI002",
        "PHI003",
        "PHI004",
        "PHI005",
        "SET106",
    }


async def test_compressed_and_plain_images_with_equal_pixels_are_copies(report):
    checked, found = report
    hashes = [file.summary["kept"]["pixels"]["pixel_hash"] for file in checked.files]
    # Plain and JPEG 2000, reversible and irreversible.
    assert hashes[0] == hashes[2]
    assert hashes[1] == hashes[3]
    assert hashes[4] == hashes[6]
    assert hashes[5] == hashes[7]
    assert len(set(hashes)) == 4
    assert {f.paths for f in found if f.id == "SET103"} == {(f"{n}.dcm", f"{n + 2}.dcm") for n in (0, 1, 4, 5)}
    # Lossy and lossless ones of a patient are near copies, the two patients are none.
    assert {f.paths for f in found if f.id == "SET104"} == {("0.dcm", "1.dcm"), ("4.dcm", "5.dcm")}
    assert [number for number in range(8) if "PIX010" in of_file(checked, number)] == [1, 3, 5, 7]


async def test_no_child_needs_more_than_200_megabytes(report):
    assert max(file.peak_bytes for file in report[0].files) < 200 << 20


async def test_no_output_shows_a_value(report, folder, tmp_path, capfd, caplog):
    secrets = set().union(*(values_of(path) for path in folder.iterdir()))
    assert len(secrets) > 60
    assert {"CompressedSamples", "19400305", "exam Number", "N.C.C. HIGASHI"} <= secrets
    checked, found = report
    outputs = {
        "report": json.dumps(checked.to_json()),
        "page": page_of(orjson.dumps(local_document_of("set", checked, datetime.now(UTC)))).decode(),
        "findings": json.dumps([f.to_json() for f in found]),
        "files": repr(checked.files),
    }
    every = tmp_path / "every.ndjson"
    page = tmp_path / "report.html"
    few = [folder / "0.dcm", folder / "4.dcm"]
    assert exit_status(CheckOptions(few, "xray", None, json=False, every=every)) == 1
    assert exit_status(CheckOptions(few, "xray", None, json=True, every=None, html=page)) == 1
    captured = capfd.readouterr()
    assert '"state": "invalid"' in captured.out
    outputs["html"] = page.read_text()
    outputs |= {
        "NDJSON": every.read_text(),
        "printed": captured.out,
        "errors": captured.err,
        "logs": caplog.text,
    }
    assert all("PHI001" in outputs[name] for name in ("page", "html", "NDJSON", "printed"))
    assert [(name, secret) for name, text in outputs.items() for secret in secrets if secret in text] == []


def exit_status(options: CheckOptions) -> int:
    """`check` runs a loop of its own; a thread has none."""
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        return pool.submit(check, options).result()


async def test_a_clean_set_with_labels_is_valid(tmp_path):
    for number in range(24):
        data = making.dicom(making.clean(number=number))
        (tmp_path / f"{number}.dcm").write_bytes(data)
    rows = "".join(f"{number}.dcm,{'ab'[number % 2]}\n" for number in range(24))
    (tmp_path / "labels.csv").write_text("file,label\n" + rows)
    contract = {"labels": {"path": "labels.csv", "file_column": "file", "label_column": "label"}}
    (tmp_path / ".contract.json").write_text(json.dumps(contract))
    every = tmp_path / ".every"
    options = CheckOptions([tmp_path], "xray", tmp_path / ".contract.json", json=False, every=every)
    assert exit_status(options) == 0
    assert every.read_text() == ""
