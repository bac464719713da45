"""Guesses the type and the contract of a set from its first table; says what it guessed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from luna_serving.capabilities.datasets.validation.contract import (
    Contract,
    OhlcvContract,
    SeriesContract,
    SetType,
    XrayContract,
)
from luna_serving.capabilities.datasets.validation.manifest import SetFile
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox

COLUMNS: Final = "luna_serving.capabilities.datasets.validation.tables.columns:columns"
_IMAGES: Final = (".dcm", ".dicom", ".png", ".jpg", ".jpeg")
_BARS: Final = ("open", "high", "low", "close")
_SERIES_NAMES: Final = frozenset(
    {"series", "symbol", "ticker", "id", "key", "name", "unique_id", "item", "store", "shop"}
)
_TIME_NAMES: Final = frozenset({"time", "ts", "timestamp", "date", "datetime", "ds", "epoch", "year"})


class CannotGuess(Exception):
    """The files do not say what they are; the message has the cure."""


async def guess(files: Sequence[SetFile], kind: SetType | None, sandbox: Sandbox) -> tuple[Contract, Sequence[str]]:
    """A contract for files, and sentences about what was guessed.

    Args:
        files: of the set.
        kind: its type, if it is known.
        sandbox: where the first table is looked at.

    Raises:
        CannotGuess: no table has a column of times and one of numbers.
    """
    images = [file for file in files if file.path.lower().endswith(_IMAGES)]
    if kind is SetType.XRAY or (kind is None and len(images) * 2 > len(files)):
        return XrayContract(), ["The set is of type xray: most files are images."] if kind is None else []
    for file in files:
        outcome = await sandbox.run(COLUMNS, {"file": str(file.file.resolve()), "path": file.path})
        columns = outcome.result.get("columns") or ()
        if any(column["kind"] == "time" for column in columns) or _epochs(columns):
            return _from(columns, int(outcome.result["rows"]), file.path, kind)
    raise CannotGuess("No file has a column of times. Say which columns are which with --contract FILE.")


def _epochs(columns: Sequence[Mapping[str, Any]]) -> list[str]:
    return [c["name"] for c in columns if c["kind"] == "number" and c["name"].strip().lower() in _TIME_NAMES]


def _from(
    columns: Sequence[Mapping[str, Any]], rows: int, path: str, kind: SetType | None
) -> tuple[Contract, Sequence[str]]:
    time = next((c["name"] for c in columns if c["kind"] == "time"), None) or _epochs(columns)[0]
    numbers = [c["name"] for c in columns if c["kind"] == "number" and c["name"] != time]
    names = [c for c in columns if c["kind"] == "text" and c["name"] != time]
    by_name = [c for c in columns if c["name"].strip().lower() in _SERIES_NAMES and c["name"] != time]
    # A text that is another one in each row names no series.
    repeated = [c for c in names if c["distinct"] * 2 <= max(rows, 2)]
    series = next((c["name"] for c in [*by_name, *repeated]), None)
    said = [f"Time column {time!r}, the first of {path} that holds times."]
    said.append(f"Series column {series!r}." if series else "No series column: each file is one series.")
    folded = {name.strip().lower(): name for name in numbers}
    bars = all(name in folded for name in _BARS)
    if kind is SetType.OHLCV or (kind is None and bars):
        named = {name: folded.get(name, name) for name in _BARS}
        volume = folded.get("volume")
        if kind is None:
            said.append("The set is of type ohlcv: it has open, high, low and close.")
        return OhlcvContract(time, series, volume=volume, **named), said
    values = tuple(name for name in numbers if name != series)
    if not values:
        raise CannotGuess(f"{path} has no column of numbers. Say which columns are which with --contract FILE.")
    said.append(f"Value columns {', '.join(values)}.")
    return SeriesContract(time, values, series), said
