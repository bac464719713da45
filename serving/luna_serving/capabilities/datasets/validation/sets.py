"""Checks of the files of a set together: names and digests of any set, series and columns of tables. Pure."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from luna_serving.capabilities.datasets.validation import set_rules as rules
from luna_serving.capabilities.datasets.validation.findings import Finding, of
from luna_serving.capabilities.datasets.validation.names import clashes, path_fault
from luna_serving.capabilities.datasets.validation.reports import FileReport
from luna_serving.capabilities.datasets.validation.tables.times import iso

_FEW: Final = 3
_LONGEST_LIST: Final = 20


def check_names(files: Sequence[FileReport]) -> Iterator[Finding]:
    """Findings about names and contents, of any set."""
    if not files:
        yield of(rules.NO_FILES, "The set has no files.")
    for file in files:
        if fault := path_fault(file.path):
            yield of(rules.BAD_NAME, f"The name {fault}.", path=file.path)
    for first, second in clashes(file.path for file in files):
        yield of(rules.CLASH, f"{first!r} and {second!r} are one name on many systems.", paths=(first, second))
    same: dict[str, list[str]] = defaultdict(list)
    for file in files:
        if file.bytes:
            same[file.sha256].append(file.path)
    for paths in same.values():
        if len(paths) > 1:
            message = f"{_some(paths)} have the same bytes."
            yield of(rules.SAME_CONTENT, message, paths=tuple(paths[:_LONGEST_LIST]), count=len(paths) - 1)


def check_tables(files: Sequence[FileReport]) -> Iterator[Finding]:
    """Findings about the tables of a set."""
    checked = [file for file in files if file.summary.get("checked")]
    yield from _columns(checked)
    yield from _overlaps(checked)
    yield from _balance(checked)
    by_frequency: dict[str, list[str]] = defaultdict(list)
    for file in checked:
        if frequency := file.summary.get("frequency"):
            by_frequency[frequency].append(file.path)
    if len(by_frequency) > 1:
        named = "; ".join(f"{frequency}: {_some(paths)}" for frequency, paths in sorted(by_frequency.items())[:_FEW])
        paths = tuple(paths[0] for paths in by_frequency.values())
        yield of(rules.FREQUENCIES_DIFFER, f"{named}.", paths=paths[:_LONGEST_LIST])


def summary_of(files: Sequence[FileReport]) -> Mapping[str, Any]:
    """Of the tables of a set together."""
    checked = [file.summary for file in files if file.summary.get("checked")]
    series = {name for each in checked for name, *_ in each["series"]}
    frequencies = {each["frequency"] for each in checked if each["rows"]}
    single = all(not name for name in series)
    starts = [each["start"] for each in checked if each["start"]]
    ends = [each["end"] for each in checked if each["end"]]
    lengths = _lengths(checked)
    return {
        "files": len(files),
        "bytes": sum(file.bytes for file in files),
        "rows": sum(each["rows"] for each in checked),
        "series": len(checked) if single else max([len(series), *(each["series_count"] for each in checked)]),
        "start": min(starts, default=None),
        "end": max(ends, default=None),
        "frequency": frequencies.pop() if len(frequencies) == 1 else None,
        "shortest": min(lengths, default=0),
        "longest": max(lengths, default=0),
    }


def _lengths(checked: Sequence[Mapping[str, Any]]) -> list[int]:
    lengths: dict[Any, int] = defaultdict(int)
    for i, each in enumerate(checked):
        for name, count, *_ in each["series"]:
            lengths[name or i] += count
    return list(lengths.values())


def _columns(files: Sequence[FileReport]) -> Iterator[Finding]:
    if not files:
        return
    by_columns: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for file in files:
        by_columns[tuple(sorted(column["name"] for column in file.summary["columns"]))].append(file.path)
    usual = max(by_columns, key=lambda each: len(by_columns[each]))
    for columns, paths in by_columns.items():
        if columns != usual:
            more = ", ".join(sorted(set(columns) - set(usual))[:_FEW]) or "none"
            less = ", ".join(sorted(set(usual) - set(columns))[:_FEW]) or "none"
            message = f"Unlike {by_columns[usual][0]}: more columns {more}, fewer columns {less}."
            yield of(rules.COLUMNS_DIFFER, message, paths=tuple(paths[:_LONGEST_LIST]), count=len(paths))


def _overlaps(files: Sequence[FileReport]) -> Iterator[Finding]:
    parts: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for file in files:
        for name, _, first, last in file.summary["series"]:
            if name:  # Files that are one series each have no name to share.
                parts[name].append((first, last, file.path))
    found: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for name, spans in parts.items():
        spans.sort()
        reach, path = spans[0][1], spans[0][2]
        for first, last, other in spans[1:]:
            if first <= reach:
                found[path, other].append((name, first))
            if last > reach:
                reach, path = last, other
    for paths, series in found.items():
        name, first = series[0]
        more = f" and {len(series) - 1:,} more" if len(series) > 1 else ""
        message = f"Series {name!r}{more} goes on in {paths[0]} after {iso(first)}, where {paths[1]} begins."
        yield of(rules.OVERLAP, message, paths=paths, count=len(series))


def _balance(files: Sequence[FileReport]) -> Iterator[Finding]:
    spans: dict[str, tuple[int, int]] = {}
    for file in files:
        for name, _, first, last in file.summary["series"]:
            known = spans.get(name, (first, last))
            spans[name] = (min(known[0], first), max(known[1], last))
    spans.pop("", None)
    if len(spans) < 2:
        return
    start = min(first for first, _ in spans.values())
    end = max(last for _, last in spans.values())
    odd = [name for name, span in spans.items() if span != (start, end)]
    if odd:
        message = f"{len(odd):,} of {len(spans):,} series do not span {iso(start)} to {iso(end)}: {_some(odd)}."
        yield of(rules.UNBALANCED, message, count=len(odd))


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _FEW:,} more" if len(names) > _FEW else ""
    return ", ".join(names[:_FEW]) + more
