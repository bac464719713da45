"""Claims about broken tables: each is invalid, by a finding that names file, place, rule and remedy."""

import hashlib

import pytest
from tests.capabilities.datasets.validation.broken import BARS, FILES, PANEL, SERIES, Broken, bars, lines, panel

from luna_serving.capabilities.datasets.validation.check import TABLE_PRELOAD, check_set
from luna_serving.capabilities.datasets.validation.contract import SetType
from luna_serving.capabilities.datasets.validation.contract_reading import contract_of
from luna_serving.capabilities.datasets.validation.manifest import SetFile
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox

BOMB_BYTES = 512 << 20


@pytest.fixture(scope="module")
async def sandbox():
    async with Sandbox(preload=TABLE_PRELOAD) as sandbox:
        yield sandbox


async def checked(sandbox, folder, broken: Broken):
    content = broken.content()
    file = folder / broken.name
    file.write_bytes(content)
    files = [SetFile(broken.name, file, len(content), hashlib.sha256(content).hexdigest())]
    return await check_set(files, contract_of(SetType(broken.type), broken.contract), sandbox=sandbox)


@pytest.mark.parametrize("broken", FILES, ids=lambda each: each.id)
async def test_a_broken_file_is_invalid_with_file_place_rule_and_remedy(sandbox, tmp_path, broken):
    report = await checked(sandbox, tmp_path, broken)
    assert not report.valid
    found = [finding for finding in report.findings if finding.id == broken.rule]
    assert len(found) == 1, [*report.findings]
    [finding] = found
    assert finding.severity == "error"
    assert (finding.path, finding.row, finding.column) == (
        broken.name,
        broken.row,
        broken.column,
    ) or broken.rule == "TS005"
    assert finding.count == broken.count or broken.id == "another frequency"
    assert finding.message.endswith((".", "?"))
    assert finding.remedy
    assert report.files[0].peak_bytes < BOMB_BYTES


@pytest.mark.parametrize(
    ("content", "kind", "contract"), [(lines, "series", SERIES), (panel, "series", PANEL), (bars, "ohlcv", BARS)]
)
async def test_the_same_tables_without_the_fault_are_valid(sandbox, tmp_path, content, kind, contract):
    report = await checked(sandbox, tmp_path, Broken("a.csv", content, "", contract, kind))
    assert [finding for finding in report.findings if finding.severity != "info"] == []
    assert report.valid


def test_there_are_more_broken_files_than_were_asked_for():
    assert len(FILES) >= 40
