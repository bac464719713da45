"""Contracts: what the owner of a set says about its files. `contract_reading` parses them."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from typing import Any

from luna_serving.capabilities.datasets.validation.frequency import Frequency


class SetType(StrEnum):
    """What a set is made of."""

    SERIES = "series"
    OHLCV = "ohlcv"
    XRAY = "xray"


class ContractError(ValueError):
    """A member of a contract that cannot be used; `pointer` is its JSON pointer within the contract."""

    def __init__(self, pointer: str, message: str) -> None:
        super().__init__(f"{pointer or 'contract'} {message}")
        self.pointer = pointer
        self.message = message
        """The end of a sentence that begins with the field; has the cure."""


@dataclass(frozen=True, slots=True)
class SeriesContract:
    """Time series in tables: a row is one time of one series."""

    time_column: str
    value_columns: tuple[str, ...]
    series_column: str | None = None
    """Names the series of a row. None: each file is one series."""
    frequency: Frequency | None = None
    timezone: str | None = None
    """IANA name of the zone that times without an offset are in, and whose calendar counts."""
    ranges: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    """Least and greatest value by column, both allowed."""
    enums: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Values by column, as text."""
    nullable: bool | tuple[str, ...] | None = None
    """Where a missing value is right: everywhere, nowhere or in these columns. None: it is a warning."""

    def allows_null(self, column: str) -> bool | None:
        """Whether a value may be missing; None if the contract does not say."""
        return column in self.nullable if isinstance(self.nullable, tuple) else self.nullable

    @property
    def type(self) -> SetType:
        """Of the set."""
        return SetType.SERIES


@dataclass(frozen=True, slots=True)
class OhlcvContract:
    """Prices in tables: a row is one bar of one symbol."""

    time_column: str
    series_column: str | None = None
    open: str = "open"
    high: str = "high"
    low: str = "low"
    close: str = "close"
    volume: str | None = "volume"
    """None: the bars have no volume."""
    frequency: Frequency | None = None
    timezone: str | None = None

    @property
    def value_columns(self) -> tuple[str, ...]:
        """The numbers of a bar."""
        prices = (self.open, self.high, self.low, self.close)
        return prices if self.volume is None else (*prices, self.volume)

    @property
    def ranges(self) -> Mapping[str, tuple[float | None, float | None]]:
        """None of its own: bars have rules of their own."""
        return {}

    @property
    def enums(self) -> Mapping[str, tuple[str, ...]]:
        """None."""
        return {}

    def allows_null(self, column: str) -> bool | None:
        """Not said: a missing price is a warning."""
        del column
        return None

    @property
    def type(self) -> SetType:
        """Of the set."""
        return SetType.OHLCV


@dataclass(frozen=True, slots=True)
class Labels:
    """The table that has a label for each image."""

    path: str
    file_column: str
    label_column: str
    split_column: str | None = None
    """Train, validation or test."""
    patient_column: str | None = None


@dataclass(frozen=True, slots=True)
class XrayContract:
    """X-ray images, with labels or without."""

    labels: Labels | None = None

    @property
    def type(self) -> SetType:
        """Of the set."""
        return SetType.XRAY


TableContract = SeriesContract | OhlcvContract
Contract = SeriesContract | OhlcvContract | XrayContract


def contract_json(contract: Contract) -> dict[str, Any]:
    """The contract as JSON; `contract_of` reads it back. Members with their default are left out."""
    shown: dict[str, Any] = {}
    for each in fields(contract):
        value = getattr(contract, each.name)
        if value is None and each.default is not None:
            shown[each.name] = None
        elif value not in (None, (), {}):
            shown[each.name] = _plain(value)
    return shown


def _plain(value: Any) -> Any:  # noqa: ANN401  JSON
    match value:
        case Frequency():
            return str(value)
        case Labels():
            return {f.name: v for f in fields(value) if (v := getattr(value, f.name)) is not None}
        case tuple():
            return list(value)
        case Mapping():
            return {k: list(v) for k, v in value.items()}
        case _:
            return value
