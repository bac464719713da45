"""A report as data, and the HTML page that it becomes: self-contained, without scripts, safe for any text.

    page = Page(
        title="Prices of May",
        status=Status("invalid", Tone.BAD),
        facts=(("Rows", "1,000,000"),),
        sections=(
            Section("Findings", (Table("What is wrong", (Column("file"), Column("row", numeric=True)), rows),)),
        ),
    )
    body = render(page)

`render` escapes all text. Where a page is served, send the header of `CONTENT_SECURITY_POLICY`: it admits the page's
own style and nothing else.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, StrEnum
from html import escape
from pathlib import Path
from typing import Final

from luna_serving.jobs.report.frame import Svg

MEDIA_TYPE: Final = "text/html; charset=utf-8"
# A table shows so many rows, a cell so many characters, a section so many of anything: a page has a few hundred kB at
# most, whatever its data.
MOST_ROWS: Final = 200
MOST_COLUMNS: Final = 30
MOST_CHARACTERS: Final = 400

STYLE: Final = "".join(line.strip() for line in Path(__file__).with_name("page.css").read_text().splitlines())
_DIGEST: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_DIGEST}'; base-uri 'none'; form-action 'none'"
)


class Tone(Enum):
    """What a status means for the reader; the colour never says more than the word."""

    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    NEUTRAL = "soft"


@dataclass(frozen=True, slots=True)
class Status:
    """The outcome in one word."""

    word: str
    tone: Tone = Tone.NEUTRAL


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph."""

    text: str


@dataclass(frozen=True, slots=True)
class Figure:
    """One number that matters, already written (`numbers.number`)."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class KeyFigures:
    """The numbers that a reader wants first."""

    figures: Sequence[Figure]


class Width(StrEnum):
    """How a column of texts is set where there is little room; the value is the class of its cells."""

    AUTO = ""
    """Its texts break anywhere: digests."""
    NAME = "p"
    """They break anywhere, and have room for a short name of a file."""
    WORD = "w"
    """They do not break: ids, words of a few letters."""
    SENTENCE = "s"
    """It keeps room for a few words per line, and the table scrolls."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table."""

    name: str
    numeric: bool = False
    """Set flush right."""
    width: Width = Width.AUTO


@dataclass(frozen=True, slots=True)
class Table:
    """A table; it shows the first `MOST_ROWS` rows and says how many there are."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    """Cells, already written."""
    total: int | None = None
    """Rows that there are, if `rows` has only the first of them."""


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing of `charts` with a caption."""

    svg: Svg
    caption: str


@dataclass(frozen=True, slots=True)
class Charts:
    """Charts that stand beside each other where there is room."""

    charts: Sequence[Chart]


Block = Text | KeyFigures | Table | Charts


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a report under a heading."""

    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Page:
    """A report."""

    title: str
    status: Status | None = None
    lead: str = ""
    """What the report is about, in one sentence."""
    facts: Sequence[tuple[str, str]] = ()
    """Labels and values of the head: ids, times, sizes."""
    sections: Sequence[Section] = ()
    footer: str = ""


def render(page: Page) -> bytes:
    """The page as HTML in UTF-8."""
    title = _text(page.title)
    head = [f"<h1>{title}</h1>"]
    if page.status is not None:
        head.append(f'<p><span class="status {page.status.tone.value}">{_text(page.status.word)}</span></p>')
    if page.lead:
        head.append(f"<p>{_text(page.lead)}</p>")
    if page.facts:
        head.append(f"<dl>{''.join(_pair(label, value) for label, value in page.facts)}</dl>")
    sections = "".join(
        f"<section><h2>{_text(each.title)}</h2>{''.join(_block(block) for block in each.blocks)}</section>"
        for each in page.sections
    )
    footer = f"<footer><p>{_text(page.footer)}</p></footer>" if page.footer else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_SECURITY_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"<title>{title}</title><style>{STYLE}</style></head>"
        f"<body><main><header>{''.join(head)}</header>{sections}{footer}</main></body></html>\n"
    ).encode()


def _text(text: str) -> str:
    return escape(text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…")


def _pair(label: str, value: str, note: str = "") -> str:
    more = f'<dd class="note">{_text(note)}</dd>' if note else ""
    return f"<div><dt>{_text(label)}</dt><dd>{_text(value)}</dd>{more}</div>"


def _block(block: Block) -> str:
    match block:
        case Text(text):
            return f"<p>{_text(text)}</p>"
        case KeyFigures(figures):
            pairs = "".join(_pair(each.label, each.value, each.note) for each in figures)
            return f'<dl class="figures">{pairs}</dl>'
        case Table():
            return _table(block)
        case Charts(charts):
            drawn = (f"<figure>{c.svg}<figcaption>{_text(c.caption)}</figcaption></figure>" for c in charts)
            return f'<div class="charts">{"".join(drawn)}</div>'


def _class(column: Column) -> str:
    name = "n" if column.numeric else column.width.value
    return f' class="{name}"' if name else ""


def _table(table: Table) -> str:
    columns = table.columns[:MOST_COLUMNS]
    names = "".join(f'<th scope="col"{_class(c)}>{_text(c.name)}</th>' for c in columns)
    rows = "".join(
        f"<tr>{''.join(f'<td{_class(c)}>{_text(cell)}</td>' for c, cell in zip(columns, row, strict=False))}</tr>"
        for row in table.rows[:MOST_ROWS]
    )
    total = table.total if table.total is not None else len(table.rows)
    shown = min(len(table.rows), MOST_ROWS)
    note = f" The first {shown:,} of {total:,} rows." if total > shown else ""
    # A region that scrolls must be reachable by keyboard, and have a name (WCAG 2.1.1, 4.1.2).
    label = escape(table.caption[:MOST_CHARACTERS])
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
        f"<caption><span>{_text(table.caption)}{note}</span></caption>"
        f"<thead><tr>{names}</tr></thead><tbody>{rows}</tbody></table></div>"
    )
