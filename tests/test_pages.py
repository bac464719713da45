"""Claims about the Markdown pages: links lead somewhere, indexes are complete, paths that are named exist."""

import re
import runpy
import tomllib
from pathlib import Path

import pytest

from luna_serving.app import CAPABILITIES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
TOP = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES = [*TOP, *sorted(DOCS.rglob("*.md")), ROOT / "charts/luna/README.md", ROOT / "benchmarks/README.md"]
# What the guide's example would add.
NOT_YET = re.compile(r"indicators|NNNN|my_company")
FOLDERS = (
    "serving/",
    "operator/",
    "migrations/",
    "crds/",
    "charts/",
    "docs/",
    "examples/",
    "tests/",
    "benchmarks/",
)


def text_of(page: Path) -> str:
    """The page without its code blocks."""
    return re.sub(r"^ *```.*?^ *```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    broken = []
    for target in re.findall(r"\]\((?!\w+:)([^)\s]+)\)", text_of(page)):
        path, _, anchor = target.partition("#")
        found = (page.parent / path) if path else page
        if not found.exists() or (anchor and anchor not in anchors(found)):
            broken.append(target)
    assert broken == []


def test_the_index_lists_every_page() -> None:
    index = (DOCS / "README.md").read_text()
    pages = {page.name for page in DOCS.glob("*.md")} - {"README.md"}
    assert {page for page in pages if f"]({page})" not in index} == set()


def test_the_index_of_decisions_says_what_they_say() -> None:
    generate = runpy.run_path(str(DOCS / "generate.py"))
    index = (DOCS / "decisions" / "README.md").read_text()
    assert generate["with_decisions"](index) == index, "run: python docs/generate.py"


@pytest.mark.parametrize("name", ["architecture.md", "capabilities.md", "kalman.md", "account.md"])
def test_the_paths_that_a_page_names_exist(name: str) -> None:
    named = {each for each in re.findall(r"`([\w./-]+)`", text_of(DOCS / name)) if each.startswith(FOLDERS)}
    assert named, "it names files"
    assert [path for path in sorted(named) if not NOT_YET.search(path) and not (ROOT / path).exists()] == []


def test_the_architecture_names_every_room_from_top_to_bottom() -> None:
    page = (DOCS / "architecture.md").read_text()
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    layered = [contract for contract in contracts if contract["type"] == "layers"]
    assert layered
    for contract in layered:
        rooms = [re.split(r" \| ", layer) for layer in contract["layers"]]
        for group in rooms:
            assert [room for room in group if not re.search(rf"`{room}\b", page)] == [], contract["name"]
        # These have a row each in a table; the others are lists in sentences.
        if contract["containers"] == ["luna_serving"]:
            table = page.split("## Rooms of `serving/luna_serving`")[1].split("\n\n")[2]
            places = [table.index(f"`{group[0]}") for group in rooms]
            assert places == sorted(places)


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda each: each.name)
def test_a_capability_has_a_page_with_its_tables_grants_and_settings(capability) -> None:
    page = (DOCS / f"{capability.name}.md").read_text()
    tables = {table.__tablename__ for table in capability.tables}
    assert {name for name in tables | capability.grants if f"`{name}`" not in page} == set()
    if capability.settings.model_fields:
        assert f"`LUNA_{capability.name.upper()}_*`" in page
