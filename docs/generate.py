"""Writes the tables of docs/configuration.md from the settings: `python docs/generate.py`; a test compares."""

import re
from pathlib import Path
from typing import Any

from luna_serving.app import CAPABILITIES
from luna_serving.settings import variables

PAGE = Path(__file__).parent / "configuration.md"
BEGIN, END = "<!-- settings: python docs/generate.py -->", "<!-- end of settings -->"


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


if __name__ == "__main__":
    PAGE.write_text(with_settings(PAGE.read_text()))
