"""Claims about broken images: each ends in an error that says where it is, what rule it breaks and what to do."""

import pytest
from tests.capabilities.datasets.validation.xray import making
from tests.capabilities.datasets.validation.xray.broken import BROKEN
from tests.capabilities.datasets.validation.xray.checking import checked

from luna_serving.capabilities.datasets.validation.contract import XrayContract
from luna_serving.capabilities.datasets.validation.findings import Severity
from luna_serving.capabilities.datasets.validation.manifest import SetFile, sha256_of
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox
from luna_serving.capabilities.datasets.validation.xray import in_child, rules
from luna_serving.capabilities.datasets.validation.xray.validator import check_xray_file

RULES = {rule.id: rule for rule in rules.RULES}


@pytest.fixture(scope="module")
async def sandbox():
    async with Sandbox(preload=in_child.PRELOAD) as sandbox:
        yield sandbox


def test_there_is_nothing_to_say_about_a_clean_image(tmp_path):
    assert checked(tmp_path, making.dicom(making.clean()))[0] == []
    assert checked(tmp_path, making.png(), "a.png")[0] == []


@pytest.mark.parametrize("name", BROKEN)
async def test_every_broken_image_ends_in_an_error_with_place_rule_and_remedy(sandbox, tmp_path, name):
    make, rule, tag = BROKEN[name]
    path = "b/image.png" if name.startswith("PNG") or name == "animated PNG" else "b/image.dcm"
    file = tmp_path / "file"
    file.write_bytes(make())
    given = SetFile(path, file, file.stat().st_size, sha256_of(file))
    report = await check_xray_file(sandbox, given, XrayContract(), lambda _path, _rows: None, b"salt")
    errors = [f for f in report.findings if f.severity is Severity.ERROR]
    assert [f for f in errors if f.id == rule and (tag is None or f.tag == tag)], report.findings
    for finding in errors:
        assert finding.path == path
        assert finding.message.endswith(".")
        assert finding.remedy == RULES[finding.id].remedy
    assert report.peak_bytes < 200 << 20
    # The validator came to its end: no crash, no limit.
    assert report.coverage == []


def test_a_file_may_be_cut_at_any_byte(tmp_path):
    data = making.dicom(making.clean())
    heads = len(data) - 2 * 64 * 64
    for size in (*range(heads + 12), *range(heads + 12, len(data) - 1, 997)):
        found, _ = checked(tmp_path, data[:size])
        assert any(f.severity is Severity.ERROR for f in found), size
