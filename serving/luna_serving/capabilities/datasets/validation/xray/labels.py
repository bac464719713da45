"""Reads the labels of an X-ray set: a CSV file with a row for each image."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from luna_serving.capabilities.datasets.validation.contract import Labels
from luna_serving.capabilities.datasets.validation.findings import Findings
from luna_serving.capabilities.datasets.validation.xray import rules
from luna_serving.capabilities.datasets.validation.xray.report import Report, digest

MAX_BYTES: Final = 64 << 20
MAX_ROWS: Final = 1_000_000
_DELIMITERS: Final = ",;\t"
LONGEST_CELL: Final = 255


@dataclass(frozen=True, slots=True)
class Label:
    """One row."""

    row: int
    file: str
    label: str
    split: str | None = None
    patient: str | None = None
    """Salted hash, comparable with that of a DICOM file's Patient ID."""

    def to_json(self) -> dict[str, Any]:
        """As a JSON object: the arguments of `Label`."""
        return asdict(self)

    @classmethod
    def of_json(cls, given: Mapping[str, Any]) -> "Label":
        """From a JSON object; raises TypeError or ValueError for one that is no label."""
        label = cls(**given)
        texts = (label.file, label.label, label.split or "", label.patient or "")
        if type(label.row) is not int or any(not isinstance(t, str) or len(t) > LONGEST_CELL for t in texts):
            raise ValueError("no label")
        return label


def read_labels(path: Path, contract: Labels, findings: Findings, *, salt: bytes) -> list[Label]:
    """Rows of a labels file; those that cannot be used become findings. Cells are never shown."""
    report = Report(contract.path, findings, salt)
    if path.stat().st_size > MAX_BYTES:
        report.add(rules.NO_LABELS, f"The file is larger than {MAX_BYTES >> 20} MiB.")
        return []
    data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        report.add(rules.NO_LABELS, f"Line {line} is not UTF-8, at byte {error.start}.")
        return []
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [cell.strip() for cell in next(reader, [])]
        places = _places(header, contract, report)
        return list(_rows(reader, len(header), places, report)) if places else []
    except csv.Error:
        report.add(rules.NO_LABELS, f"Line {reader.line_num} is not CSV.")
        return []


def _places(header: list[str], contract: Labels, report: Report) -> dict[str, int]:
    """Where each column is; empty if one is missing."""
    wanted = {
        "file": contract.file_column,
        "label": contract.label_column,
        "split": contract.split_column,
        "patient": contract.patient_column,
    }
    missing = [name for name in wanted.values() if name is not None and header.count(name) != 1]
    if not header or header == [""]:
        report.add(rules.NO_LABELS, "The file has no header.")
    for name in missing:
        times = header.count(name)
        report.add(rules.NO_COLUMN, f"The header has this column {times} times.", column=name)
    return {} if missing or not header else {k: header.index(v) for k, v in wanted.items() if v is not None}


def _rows(reader: Iterator[list[str]], width: int, places: dict[str, int], report: Report) -> Iterator[Label]:
    for row, cells in enumerate(reader):
        if row >= MAX_ROWS:
            report.add(rules.NO_LABELS, f"The file has more than {MAX_ROWS:,} rows.")
            return
        if not cells:
            continue
        if len(cells) != width:
            report.add(rules.BAD_ROW, f"The row has {len(cells)} cells, the header {width}.", row=row)
            continue
        values = {name: cells[at].strip() for name, at in places.items()}
        if any(len(value) > LONGEST_CELL for value in values.values()):
            report.add(rules.BAD_ROW, f"A cell has more than {LONGEST_CELL} characters.", row=row)
            continue
        if not values["file"]:
            report.add(rules.MISSING_CELL, "The row names no file.", row=row)
            continue
        if not values["label"]:
            report.add(rules.EMPTY_LABEL, "The row has no label.", row=row)
        patient = values.get("patient")
        hashed = digest(patient.encode(), report.salt) if patient else None
        yield Label(row, values["file"], values["label"], values.get("split") or None, hashed)
