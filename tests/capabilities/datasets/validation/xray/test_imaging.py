"""Claims about the extra `imaging`: loaded where an image is read, and its absence is a finding."""

import json
import subprocess
import sys

import numpy as np
import pytest
from tests.capabilities.datasets.validation.xray import making
from tests.capabilities.datasets.validation.xray.checking import checked

from luna_serving.capabilities.datasets.validation.contract import XrayContract
from luna_serving.capabilities.datasets.validation.manifest import SetFile, sha256_of
from luna_serving.capabilities.datasets.validation.sandbox.limits import Ending
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox
from luna_serving.capabilities.datasets.validation.xray import files, in_child, rules
from luna_serving.capabilities.datasets.validation.xray.geometry import MAX_PIXELS
from luna_serving.capabilities.datasets.validation.xray.summary import Reduced, Summary
from luna_serving.capabilities.datasets.validation.xray.validator import check_xray_file

# A finder of modules that knows none of these.
WITHOUT = """
import importlib.machinery, sys
class Some(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in {names} else super().find_spec(name, path, target)
sys.meta_path[:] = [f for f in sys.meta_path if f is not importlib.machinery.PathFinder] + [Some]
"""
DECODERS = "{'pydicom', 'gdcm', '_gdcm', 'PIL', 'openjpeg', 'jpeg_ls', 'rle', 'pylibjpeg'}"


def run(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd="/", env=None)
    return done.stdout


def test_neither_a_check_of_tables_nor_the_list_of_rules_loads_a_decoder():
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n"
        "import luna_serving.capabilities.datasets.validation.check as check\n"
        "assert check.RULES and check.VALIDATORS\n"
        f"print(sorted({DECODERS} & set(sys.modules)))"
    )
    assert run(code).strip() == "[]"


def test_where_the_libraries_are_not_installed_a_child_says_so(tmp_path):
    file = tmp_path / "a.dcm"
    file.write_bytes(making.dicom(making.clean()))
    arguments = {"file": str(file), "path": "a.dcm", "sha256": "0", "salt": "00"}
    code = (
        f"import sys; sys.path[:] = {sys.path!r}\n{WITHOUT.replace('{names}', DECODERS)}\n"
        "import json\n"
        "import luna_serving.capabilities.datasets.validation.xray.preload\n"
        "from luna_serving.capabilities.datasets.validation.xray.in_child import image\n"
        f"sent = []; print(json.dumps([image({arguments!r}, sent.append), sent]))"
    )
    result, [message] = json.loads(run(code))
    assert result == {"summary": None}
    assert message["finding"]["id"] == "SET101"


def test_without_the_libraries_an_image_is_refused_with_the_cure(tmp_path, monkeypatch):
    real = files.find_spec
    monkeypatch.setattr(files, "find_spec", lambda name: None if name == "pydicom" else real(name))
    found, summary = checked(tmp_path, making.dicom(making.clean()))
    assert summary is None
    assert [f.id for f in found] == ["SET101"]
    assert "pip install 'luna[imaging]'" in found[0].remedy
    assert "pydicom" in found[0].message


def test_ids_of_rules_are_unique_and_have_their_form():
    ids = [rule.id for rule in rules.RULES]
    assert len(ids) == len(set(ids))
    for rule in rules.RULES:
        assert rule.id[:3] in {"DCM", "PHI", "PIX", "SET"}
        assert rule.id[3:].isdigit()
        assert rule.id[:3] != "SET" or int(rule.id[3:]) > 100
        assert rule.remedy.endswith(".")
        assert not rule.title.endswith(".")


SIDE = int(MAX_PIXELS**0.5)


def largest(kind: str) -> bytes:
    """The largest image that is accepted."""
    ramp = (np.add.outer(np.arange(SIDE), np.arange(SIDE)) % 4096).astype(np.uint16)
    if kind == "png":
        return making.png(ramp)
    elements = making.clean(ramp)
    if kind == "monochrome1":
        return making.dicom(elements | {0x00280004: making.text("CS", "MONOCHROME1")})
    if kind == "rescaled":
        return making.dicom(elements | {0x00281052: making.text("DS", "-1024")})
    import jpeg_ls
    from openjpeg.utils import encode_array

    if kind == "jpeg-ls":
        stream = bytes(jpeg_ls.encode_array(ramp))
    else:
        stream = bytes(encode_array(ramp, bits_stored=12, photometric_interpretation=2))
    syntax = making.JPEG_LS if kind == "jpeg-ls" else making.JPEG_2000
    return making.encapsulated(elements, syntax, stream + b"\0" * (len(stream) % 2))


@pytest.mark.parametrize(
    "kind",
    [
        "monochrome1",
        pytest.param("png", marks=pytest.mark.slow),
        pytest.param("rescaled", marks=pytest.mark.slow),
        pytest.param("jpeg-ls", marks=pytest.mark.slow),
        pytest.param("j2k", marks=pytest.mark.slow),
    ],
)
async def test_the_largest_images_are_read_below_512_megabytes(tmp_path, kind):
    file = tmp_path / "large"
    file.write_bytes(largest(kind))
    arguments = {"file": str(file), "path": "a.png" if kind == "png" else "a.dcm", "sha256": "0", "salt": "00"}
    async with Sandbox(preload=in_child.PRELOAD) as sandbox:
        outcome = await sandbox.run(in_child.IMAGE, arguments, limits=in_child.LIMITS)
    assert outcome.ending is Ending.FINISHED, outcome
    assert outcome.result["summary"]["pixels"]["pixel_hash"]
    assert outcome.peak_bytes < 512 << 20


async def test_a_validator_that_needs_too_much_is_a_finding(tmp_path, monkeypatch):
    file = tmp_path / "large"
    file.write_bytes(making.dicom(making.clean(np.zeros((2048, 2048), np.uint16) + making.image()[0, 0])))
    given = SetFile("a.dcm", file, file.stat().st_size, sha256_of(file))
    monkeypatch.setattr(in_child, "LIMITS", in_child.Limits(memory_bytes=4 << 20))
    async with Sandbox(preload=in_child.PRELOAD) as sandbox:
        report = await check_xray_file(sandbox, given, XrayContract(), lambda _path, _rows: None, b"salt")
    assert [f.id for f in report.findings if f.severity == "error"] == ["PIX011"]
    assert report.coverage


@pytest.mark.parametrize(
    "lie",
    [
        {"rows": "64"},
        {"rows": -1},
        {"pixels": {"pixel_hash": "a", "gradient_hash": 5, "thumbnail": "zz"}},
        {"pixels": {"pixel_hash": "a", "gradient_hash": 1 << 80, "thumbnail": "0" * 2048}},
        {"pixels": {"pixel_hash": "a", "gradient_hash": None, "thumbnail": "0" * 2048}},
        {"acquisition": {"model": 5}},
        {"more": 1},
    ],
)
def test_what_a_child_says_of_an_image_is_not_trusted(lie):
    summary = Summary("a", "dicom", "0" * 64, 64, 64, 12, pixels=Reduced("a", 5, "0" * 2048))
    sent = json.loads(json.dumps(summary.to_json()))
    assert Summary.of_json(sent) == summary
    with pytest.raises((TypeError, ValueError)):
        Summary.of_json(sent | lie)
