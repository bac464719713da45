"""Writes what other files decide: `python docs/generate.py`; a test compares.

The table of docs/configuration.md comes from the settings, the one of docs/decisions/README.md from the decisions, the
one of docs/validation-rules.md from the rules of validation, and the one of docs/indicator-catalogue.md from the
catalogue of indicators. The names that grants may have, for `luna account`, come from the capabilities.
"""

import json
import re
import textwrap
from pathlib import Path
from typing import Any

from luna_serving.app import CAPABILITIES
from luna_serving.capabilities.datasets.validation.check import RULES
from luna_serving.commands import account_flags
from luna_serving.engines.indicators.catalogue import CATALOGUE, Parameter
from luna_serving.engines.indicators.catalogue.talib_entry import LARGEST
from luna_serving.settings import variables

PAGE = Path(__file__).parent / "configuration.md"
DECISIONS = Path(__file__).parent / "decisions"
INDEX = DECISIONS / "README.md"
BEGIN, END = "<!-- settings: python docs/generate.py -->", "<!-- end of settings -->"
FIRST, LAST = "<!-- decisions: python docs/generate.py -->", "<!-- end of decisions -->"
RULES_PAGE = Path(__file__).parent / "validation-rules.md"
RULES_BEGIN, RULES_END = "<!-- rules: python docs/generate.py -->", "<!-- end of rules -->"
CATALOGUE_PAGE = Path(__file__).parent / "indicator-catalogue.md"
CATALOGUE_BEGIN, CATALOGUE_END = "<!-- indicators: python docs/generate.py -->", "<!-- end of indicators -->"
GRANTS_PAGE = Path(__file__).parent / "indicators.md"
GRANTS_BEGIN, GRANTS_END = "<!-- grants: python docs/generate.py -->", "<!-- end of grants -->"
GRANT_NAMES = Path(account_flags.__file__).with_name("grant_names.json")
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


def with_rules(page: str) -> str:
    """The page, with a line for each rule between the marks."""
    table = ["| rule | severity | what is wrong | remedy |", "|---|---|---|---|"]
    rules = sorted(RULES, key=lambda rule: rule.id)
    table += [f"| {rule.id} | {rule.severity} | {rule.title} | {rule.remedy} |".replace("<=", "≤") for rule in rules]
    return re.sub(
        f"{RULES_BEGIN}.*{RULES_END}", lambda _: "\n".join([RULES_BEGIN, *table, RULES_END]), page, flags=re.DOTALL
    )


def with_grants(page: str) -> str:
    """The page, with the name of each indicator between the marks."""
    names = ", ".join(f"`{name}`" for name in CATALOGUE)
    listed = textwrap.fill(names, 120, break_long_words=False, break_on_hyphens=False)
    return re.sub(
        f"{GRANTS_BEGIN}.*{GRANTS_END}", lambda _: f"{GRANTS_BEGIN}\n{listed}\n{GRANTS_END}", page, flags=re.DOTALL
    )


def grant_names() -> str:
    """The names of each capability that has any, as JSON: importing the capabilities takes a command line seconds."""
    return json.dumps({each.name: sorted(each.grants) for each in CAPABILITIES if each.grants}, indent=1) + "\n"


def with_catalogue(page: str) -> str:
    """The page, with a line for each indicator between the marks."""
    head = ["| indicator | what it is | inputs | parameters | outputs | lookback | stability |", "|---" * 7 + "|"]
    lines = [
        f"| `{each.name}` | {each.title} | {', '.join(each.inputs)}{', benchmark' if each.needs_benchmark else ''} "
        f"| {', '.join(map(parameter, each.parameters))} | {', '.join(each.outputs)} | {each.lookback_rule.rule} "
        f"| {each.stability}{', `anchor`' if each.takes_anchor else ''} |"
        for each in CATALOGUE.values()
    ]
    table = "\n".join([CATALOGUE_BEGIN, *head, *lines, CATALOGUE_END])
    return re.sub(f"{CATALOGUE_BEGIN}.*{CATALOGUE_END}", lambda _: table, page, flags=re.DOTALL)


def parameter(each: Parameter) -> str:
    """A parameter with its default and its range: `period` 14 (2 to 100000)."""
    if each.max == LARGEST:
        bounds = "any" if each.min == -LARGEST else f"from {each.min:g}"
    else:
        bounds = f"{each.min:.15g} to {each.max:.15g}"
    return f"`{each.name}` {each.default:g} ({bounds})"


if __name__ == "__main__":
    PAGE.write_text(with_settings(PAGE.read_text()))
    INDEX.write_text(with_decisions(INDEX.read_text()))
    RULES_PAGE.write_text(with_rules(RULES_PAGE.read_text()))
    GRANTS_PAGE.write_text(with_grants(GRANTS_PAGE.read_text()))
    GRANT_NAMES.write_text(grant_names())
    CATALOGUE_PAGE.write_text(with_catalogue(CATALOGUE_PAGE.read_text()))
