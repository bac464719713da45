"""No identity that a file holds is in any output about it, whatever else is wrong with the file."""

import json
import logging
from datetime import UTC, datetime

import orjson
import pytest
from tests.capabilities.datasets.validation.xray import making
from tests.capabilities.datasets.validation.xray.broken import BROKEN
from tests.capabilities.datasets.validation.xray.test_identity import IDENTIFYING

from luna_serving.capabilities.datasets.report.document import local_document_of
from luna_serving.capabilities.datasets.report.page import page_of
from luna_serving.capabilities.datasets.validation.check import check_set
from luna_serving.capabilities.datasets.validation.contract import Labels, XrayContract
from luna_serving.capabilities.datasets.validation.manifest import SetFile, sha256_of

SECRET = "Zzyzx^Quentin"


def secrets() -> set[str]:
    """Words that are in no message of ours."""
    values = [value for _, value, _ in IDENTIFYING.values()] + [SECRET]
    return {part for value in values for part in value.replace("^", " ").split() if len(part) >= 5}


def identified() -> bytes:
    """One file with all of them, in plain elements, in a sequence, and in private ones."""
    inner = making.item(making.element(0x00100010, making.text("PN", SECRET)))
    private = {0x00190010: making.text("LO", "MAKER"), 0x00191001: making.text("LO", SECRET)}
    elements = making.clean() | {tag: making.text(vr, value) for tag, (vr, value, _) in IDENTIFYING.items()}
    return making.dicom(elements | private | {0x00400275: ("SQ", inner)})


def with_name(data: bytes) -> bytes:
    """A broken file with a name where its head says nothing of it: in its last bytes."""
    return data + SECRET.encode()


async def test_no_output_about_any_file_shows_what_identifies_a_person(tmp_path, caplog, capfd):
    caplog.set_level(logging.DEBUG)
    (tmp_path / "all.dcm").write_bytes(identified())
    text = making.chunk(b"tEXt", b"Comment\0" + SECRET.encode())
    (tmp_path / "text.png").write_bytes(making.png(None, text))
    for number, (make, *_) in enumerate(BROKEN.values()):
        (tmp_path / f"{number}.dcm").write_bytes(with_name(make()))
    labels = "file,label,patient\n" + f"all.dcm,a,{SECRET}\ntext.png,b,{SECRET}\n"
    (tmp_path / "labels.csv").write_text(labels)
    contract = XrayContract(Labels("labels.csv", "file", "label", patient_column="patient"))
    files = [SetFile(f.name, f, f.stat().st_size, sha256_of(f)) for f in sorted(tmp_path.iterdir())]
    every: list = []
    report = await check_set(files, contract, each=every.append)
    assert {"PHI001", "PHI002", "PHI005", "PHI009", "PHI018"} <= {finding.id for finding in every}
    printed = capfd.readouterr()
    outputs = {
        "JSON": json.dumps(report.to_json()),
        "NDJSON": "\n".join(json.dumps(finding.to_json()) for finding in every),
        "page": page_of(orjson.dumps(local_document_of("set", report, datetime.now(UTC)))).decode(),
        "kept": repr(report.files),
        "logs": caplog.text,
        "printed": printed.out + printed.err,
    }
    assert "PHI001" in outputs["page"]
    assert [(name, each) for name, text in outputs.items() for each in sorted(secrets()) if each in text] == []


@pytest.mark.parametrize("word", ["Zzyzx", "Quentin", "MRN-4711"])
def test_the_words_that_are_looked_for_are_told_from_messages(word):
    assert word in secrets()
