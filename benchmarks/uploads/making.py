"""The files of each team, right ones and wrong ones, and the verdict that each set must get."""

import io
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tests.capabilities.datasets.validation.xray.making import clean, dicom, image

SHARED_IMAGES = 8


class Fault(Enum):
    """What a team sends that is wrong on purpose."""

    NONE = auto()
    TRUNCATED_IMAGE = auto()
    DUPLICATE_TIMES = auto()
    MISSING_LABEL = auto()


@dataclass(frozen=True)
class UploadSet:
    """A set to upload."""

    body: Mapping[str, Any]
    """Of `POST /upload/start`, without `files`."""
    files: Mapping[str, tuple[bytes, str]]
    """By path: the bytes and the media type."""
    verdict: str


@dataclass(frozen=True)
class Making:
    """What one team uploads."""

    sets: tuple[UploadSet, UploadSet]
    cut_off: bool


def makings(teams: int, images: int, side: int, rows: int) -> list[Making]:
    """What each team uploads; faults take turns, and one team in four is cut off."""
    pictures = [image(seed, side) for seed in range(images)]
    faults = list(Fault)
    return [
        Making((_xray(team, pictures, faults[team % 4]), _table(team, rows, faults[team % 4])), (team // 4) % 4 == 0)
        for team in range(teams)
    ]


def _xray(team: int, pictures: list[np.ndarray], fault: Fault) -> UploadSet:
    files: dict[str, tuple[bytes, str]] = {}
    for i, picture in enumerate(pictures):
        number = 100 * team + i + 1
        body = dicom(clean(picture, number))
        if fault is Fault.TRUNCATED_IMAGE and i == 0:
            body = body[: len(body) // 2]
        files[f"images/{i:03d}.dcm"] = (body, "application/dicom")
    labelled = list(files)[1:] if fault is Fault.MISSING_LABEL else list(files)
    lines = ["file,label", *(f"{path},{'ill' if i % 2 else 'well'}" for i, path in enumerate(labelled))]
    if fault is Fault.MISSING_LABEL:
        lines.append("images/none.dcm,well")
    files["labels.csv"] = ("\n".join(lines).encode() + b"\n", "text/csv")
    contract = {"labels": {"path": "labels.csv", "file_column": "file", "label_column": "label"}}
    wrong = fault in {Fault.TRUNCATED_IMAGE, Fault.MISSING_LABEL}
    body = {"name": f"chest-{team}", "type": "xray", "contract": contract}
    return UploadSet(body, files, "invalid" if wrong else "valid")


def _table(team: int, rows: int, fault: Fault) -> UploadSet:
    drawn = np.random.default_rng(team)
    times = np.datetime64("2020-01-01T00:00:00", "s") + np.arange(rows) * np.timedelta64(60, "s")
    if fault is Fault.DUPLICATE_TIMES:
        times[rows // 2] = times[rows // 2 - 1]
    table = pa.table({"ts": times, "y": drawn.normal(size=rows).cumsum()})
    sink = io.BytesIO()
    pq.write_table(table, sink)
    body = {"name": f"load-{team}", "type": "series", "contract": {"time_column": "ts", "value_columns": ["y"]}}
    files = {"load.parquet": (sink.getvalue(), "application/vnd.apache.parquet")}
    return UploadSet(body, files, "invalid" if fault is Fault.DUPLICATE_TIMES else "valid")
