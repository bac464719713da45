"""The report as a page for people: self-contained, without scripts."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson

from luna_serving.jobs.report.charts import bar_chart
from luna_serving.jobs.report.numbers import number, size
from luna_serving.jobs.report.page import (
    Block,
    Chart,
    Charts,
    Column,
    Figure,
    KeyFigures,
    Page,
    Section,
    Status,
    Table,
    Text,
    Tone,
    render,
)

_FINDINGS: Final = (
    Column("severity"),
    Column("rule"),
    Column("place"),
    Column("row", numeric=True),
    Column("count", numeric=True),
    Column("what"),
    Column("remedy"),
)
_BARS: Final = 12
_FACTS: Final = ("rows", "series", "images", "patients", "frequency", "start", "end", "shortest", "longest")


def page_of(report: bytes) -> bytes:
    """The page of a report, from its JSON."""
    document: dict[str, Any] = orjson.loads(report)
    valid = document["state"] == "valid"
    files = document["files"]
    page = Page(
        title=document["name"] if document["version"] is None else f"{document['name']}@{document['version']}",
        status=Status(document["state"], Tone.GOOD if valid else Tone.BAD),
        lead=_lead(document),
        facts=[
            ("Type", document["type"]),
            ("Files", f"{len(files):,}"),
            ("Size", size(sum(each["bytes"] for each in files))),
            ("Validated", str(document["validated_at"])),
            *([("Digest", document["digest"])] if valid else []),
        ],
        sections=[
            Section("Findings", _findings(document)),
            *_section("Contents", _contents(document)),
            *_section("Readiness", _readiness(document["readiness"])),
            *_section("Not checked", _coverage(document["coverage"])),
            Section("Files", [_files(files)]),
        ],
        footer=_footer(document),
    )
    return render(page)


def _section(title: str, blocks: Sequence[Block]) -> list[Section]:
    return [Section(title, blocks)] if blocks else []


def _lead(document: Mapping[str, Any]) -> str:
    counts = document["counts"]
    told = ", ".join(f"{counts[each]:,} {each}" for each in ("error", "warning", "info"))
    here = document["dataset_id"] is None
    if document["state"] == "valid":
        return f"The set can be {'uploaded' if here else 'used by its name'}. Findings: {told}."
    again = "" if here else " and upload it again"
    return f"The set cannot be used: correct the errors{again}. Findings: {told}."


def _footer(document: Mapping[str, Any]) -> str:
    if document["dataset_id"] is None:
        return "Made by luna data check; the set is in no library. All findings: luna data check --all FILE."
    return f"Data set {document['dataset_id']}. All findings: GET /validation/{document['dataset_id']}/findings."


def _findings(document: Mapping[str, Any]) -> list[Block]:
    found = document["findings"]
    if not found:
        return [Text("None.")]
    rows = [
        (
            each["severity"],
            each["id"],
            _place(each),
            "" if each.get("row") is None else f"{each['row']:,}",
            f"{each['count']:,}",
            each["message"],
            each["remedy"],
        )
        for each in found
    ]
    by_rule = Counter(each["id"] for each in found)
    bars = [(rule, float(count)) for rule, count in by_rule.most_common(_BARS)]
    chart = bar_chart("Findings by rule", "How many findings each rule has.", bars)
    total = sum(document["counts"].values())
    return [
        Table("What was found, errors first", _FINDINGS, rows, total=max(total, len(rows))),
        Charts([Chart(chart, "Listed findings by rule")]),
    ]


def _place(finding: Mapping[str, Any]) -> str:
    where = finding.get("path") or ", ".join(finding.get("paths", ()))
    more = [finding[name] for name in ("column", "tag") if finding.get(name)]
    return " ".join([where, *map(str, more)]) or "the set"


def _contents(document: Mapping[str, Any]) -> list[Block]:
    summary = document["summary"]
    figures = [
        Figure(name, f"{value:,}" if isinstance(value, int) else str(value))
        for name in _FACTS
        if (value := summary.get(name)) not in (None, "")
    ]
    blocks: list[Block] = [KeyFigures(figures)] if figures else []
    charts = [
        Chart(bar_chart(f"Images by {name}", f"How many images there are of each {name}.", _bars(counts)), title)
        for name, title in (("classes", "Classes"), ("parts", "Parts of the split"), ("sizes", "Rows x columns"))
        if isinstance(counts := summary.get(name), dict) and counts
    ]
    return [*blocks, Charts(charts)] if charts else blocks


def _bars(counts: Mapping[str, Any]) -> list[tuple[str, float]]:
    return [(name, float(count)) for name, count in list(counts.items())[:_BARS]]


def _readiness(rows: Sequence[Mapping[str, Any]]) -> list[Block]:
    if not rows:
        return []
    columns = (Column("use"), Column("ready"), Column("why"), Column("parameters"))
    cells = [
        (
            each["use"],
            "yes" if each["ready"] else "no",
            each["why"],
            orjson.dumps(each["parameters"]).decode() if each["parameters"] else "",
        )
        for each in rows
    ]
    return [Table("What can use the set, and with which parameters", columns, cells)]


def _coverage(gaps: Sequence[Mapping[str, Any]]) -> list[Block]:
    if not gaps:
        return []
    rows = [(str(each.get("path", "")), str(each["check"]), str(each["reason"])) for each in gaps]
    return [Table("What was not checked, and why", (Column("file"), Column("check"), Column("reason")), rows)]


def _files(files: Sequence[Mapping[str, Any]]) -> Table:
    columns = (Column("file"), Column("bytes", numeric=True), Column("rows", numeric=True), Column("SHA-256"))
    rows = [
        (each["path"], f"{each['bytes']:,}", number(each["rows"]) if "rows" in each else "", each["sha256"])
        for each in files
    ]
    return Table("The files of the set", columns, rows)
