"""Writes what other files decide: `python docs/generate.py`; a test compares.

The table of docs/configuration.md comes from the settings, the one of docs/decisions/README.md from the decisions.
"""

import re
from pathlib import Path
from typing import Any

from luna_serving.app import CAPABILITIES
from luna_serving.settings import variables

PAGE = Path(__file__).parent / "configuration.md"
DECISIONS = Path(__file__).parent / "decisions"
INDEX = DECISIONS / "README.md"
BEGIN, END = "<!-- settings: python docs/generate.py -->", "<!-- end of settings -->"
FIRST, LAST = "<!-- decisions: python docs/generate.py -->", "<!-- end of decisions -->"
HEAD = re.compile(r"# (\d{4}): (.+)\n\n\*\*Status\.\*\* ((?:.+\n)+)")


def with_settings(page: str) -> str:
    """The page, with what the settings say between the marks."""
    table = ["| variable | default | meaning |", "|---|---|---|"]
    for name, field in variables({each.name: each.settings for each in CAPABILITIES}):
        meaning = (field.description or "").replace("|", "\\|")
        table.append(f"| `{name}` | {shown(field.default)} | {meaning} |")
    return re.sub(f"{BEGIN}.*{END}", lambda _: "\n".join([BEGIN, *table, END]), page, flags=re.DOTALL)


def shown(default: Any) -> str:  # noqa: ANN401  any default
    """A default as the page has it."""
    match default:
        case bool():
            return str(default).lower()
        case float():
            return f"{default:g}"
        case () | dict():
            return ""
        case _:
            return str(default)


def with_decisions(page: str) -> str:
    """The index, with a line for each decision between the marks.

    Raises:
        ValueError: a decision does not begin with its number, title and status.
    """
    table = ["| | decision | status |", "|---|---|---|"]
    for path in sorted(DECISIONS.glob("[0-9]*.md")):
        head = HEAD.match(path.read_text())
        if head is None or not path.name.startswith(head[1]):
            raise ValueError(f"{path.name} does not begin with `# NNNN: Title` and a paragraph `**Status.** ...`.")
        table.append(f"| [{head[1]}]({path.name}) | {head[2]} | {' '.join(head[3].split())} |")
    return re.sub(f"{FIRST}.*{LAST}", lambda _: "\n".join([FIRST, *table, LAST]), page, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(with_settings(PAGE.read_text()))
    INDEX.write_text(with_decisions(INDEX.read_text()))
