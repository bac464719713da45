"""docs/threats.md names tests that exist, and every test of this folder."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threats.md").read_text()
NAMED = sorted(set(re.findall(r"\[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\)", PAGE)))


def names_in(file: Path) -> set[str]:
    return set(re.findall(r"^(?:async )?def (test_\w+)\(", file.read_text(), re.MULTILINE))


@pytest.mark.parametrize(("test", "file"), NAMED)
def test_a_test_that_the_page_names_exists(test: str, file: str) -> None:
    assert test in names_in(ROOT / file)


def test_every_row_names_a_test() -> None:
    tables = [table for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE) if table.startswith("| threat |")]
    assert len(tables) >= 8
    for table in tables:
        for row in table.splitlines()[2:]:
            assert re.search(r"\[`test_\w+`\]", row), row


def test_the_files_of_this_folder_stand_on_the_page() -> None:
    named = {file for _, file in NAMED}
    files = {f"tests/threats/{file.name}" for file in Path(__file__).parent.glob("test_*.py")}
    assert files - named == {f"tests/threats/{Path(__file__).name}"}
