"""The beginning of a CSV file: its encoding, delimiter and header."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Final

from luna_serving.capabilities.datasets.validation.tables import rules
from luna_serving.capabilities.datasets.validation.tables.tally import Stopped, Tally, shortened

DELIMITERS: Final = ",;\t|"
MOST_COLUMNS: Final = 10_000
_LONGEST_HEADER: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Head:
    """How a CSV file is to be read."""

    delimiter: str
    header: tuple[str, ...]


def head_of(beginning: bytes, contract_columns: Sequence[str], tally: Tally) -> Head:
    """Read the header.

    Args:
        beginning: the first bytes, up to a mebibyte.
        contract_columns: those that the contract names.
        tally: takes the findings.

    Raises:
        Stopped: there is no header that could be used.
    """
    if beginning.startswith((b"\xff\xfe", b"\xfe\xff")):
        tally.now(rules.BAD_ENCODING, "The file is UTF-16.")
        raise Stopped
    if not beginning.strip(b"\r\n \t\xef\xbb\xbf"):
        tally.now(rules.EMPTY, "The file has no header and no rows.")
        raise Stopped
    cut = len(beginning) >= _LONGEST_HEADER
    try:
        text = beginning.decode("utf-8-sig", errors="strict")
    except UnicodeDecodeError as error:
        # The header decides; rows have their own finding. Elsewhere the cut may split a character.
        text = beginning[: error.start].decode("utf-8-sig")
        if "\n" not in text and not cut:
            tally.now(rules.BAD_ENCODING, f"Byte {error.start} of the header is not UTF-8.")
            raise Stopped from None
    line = _first_line(text)
    if len(line) >= _LONGEST_HEADER - 4:
        tally.now(rules.BAD_HEADER, "The first line is longer than a mebibyte.")
        raise Stopped
    delimiter = _delimiter(line, contract_columns)
    try:
        # Empty lines before it are no rows, for Arrow neither. csv wants its lines one by one, whatever ends them.
        lines = re.findall(r"[^\r\n]*(?:\r\n|\r|\n|$)", text)
        header = tuple(next(filter(None, csv.reader(lines, delimiter=delimiter)), ()))
    except csv.Error as error:
        tally.now(rules.BAD_HEADER, f"The header cannot be read: {error}.")
        raise Stopped from None
    _check(header, tally)
    return Head(delimiter, header)


def report_missing(columns: Sequence[str], contract_columns: Sequence[str], tally: Tally) -> set[str]:
    """Report the contract's columns that a file lacks, each with the nearest name that it has."""
    missing = [name for name in contract_columns if name not in columns]
    folded = {name.strip().casefold(): name for name in columns}
    for name in missing:
        near = folded.get(name.strip().casefold())
        close = [near] if near else get_close_matches(name, columns, 1)
        hint = f" Did you mean {shortened(close[0])!r}?" if close else ""
        had = ", ".join(shortened(each) for each in columns[:10])
        tally.now(rules.MISSING_COLUMN, f"Column {name!r} is missing; the file has {had}.{hint}", column=name)
    return set(missing)


def _first_line(text: str) -> str:
    return next((line for line in text.splitlines() if line.strip()), "")


def _delimiter(line: str, contract_columns: Sequence[str]) -> str:
    def score(delimiter: str) -> tuple[int, int]:
        fields = {field.strip('"') for field in line.split(delimiter)}
        return len(fields & set(contract_columns)), line.count(delimiter)

    return max(DELIMITERS, key=score)


def _check(header: Sequence[str], tally: Tally) -> None:
    if len(header) > MOST_COLUMNS:
        tally.now(rules.TOO_LARGE, f"The table has {len(header):,} columns; at most {MOST_COLUMNS:,} are read.")
        raise Stopped
    fault = None
    if twice := [name for name, count in Counter(header).items() if count > 1 and name]:
        fault = f"Column {shortened(twice[0])!r} is there {header.count(twice[0])} times."
    elif "" in (stripped := [name.strip() for name in header]):
        fault = f"Column {stripped.index('') + 1} has no name."
    elif all(_number(name) for name in header):
        fault = f"The first line holds numbers, not names: {shortened(', '.join(header))}."
    if fault is not None:
        tally.now(rules.BAD_HEADER, fault)
        raise Stopped


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
