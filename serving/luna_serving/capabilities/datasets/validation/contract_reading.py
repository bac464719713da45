"""Parses contracts from JSON-like values; each error names the member and the cure."""

import math
import zoneinfo
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from luna_serving.capabilities.datasets.validation.contract import (
    Contract,
    ContractError,
    Labels,
    OhlcvContract,
    SeriesContract,
    SetType,
    TableContract,
    XrayContract,
)
from luna_serving.capabilities.datasets.validation.frequency import Frequency
from luna_serving.capabilities.datasets.validation.names import path_fault

MOST_COLUMNS: Final = 1_000
LONGEST_NAME: Final = 255
MOST_VALUES: Final = 10_000
"""Values of one enum."""
T = TypeVar("T")


def contract_of(kind: SetType, given: object) -> Contract:
    """Parse a contract.

    Args:
        kind: the set's type.
        given: the contract as read from JSON.

    Raises:
        ContractError: a member is missing, unknown or has no meaning.
    """
    return _PARSERS[kind](_Object(given, ""))


class _Object:
    """A JSON object with its place; takes members and refuses what is left."""

    def __init__(self, given: object, at: str) -> None:
        if not isinstance(given, Mapping):
            raise ContractError(at, f"must be an object; got {_kind(given)}")
        self._given = dict(given)
        self._known: list[str] = []
        self.at = at

    def take(self, name: str, read: Callable[[object, str], T]) -> T:
        """A member that must be there."""
        value = self.optional(name, read, None)
        if value is None:
            raise ContractError(f"{self.at}/{name}", "is required")
        return value

    def optional(self, name: str, read: Callable[[object, str], T], default: T | None) -> T | None:
        """A member, or the default if it is missing or null."""
        self._known.append(name)
        value = self._given.pop(name, None)
        return default if value is None else read(value, f"{self.at}/{name}")

    def has(self, name: str) -> bool:
        """Whether a member is there, null or not."""
        return name in self._given

    def end(self) -> None:
        """Refuse unknown members."""
        for name in self._given:
            escaped = str(name).replace("~", "~0").replace("/", "~1")
            raise ContractError(
                f"{self.at}/{escaped}", f"is unknown; remove it or use one of: {', '.join(self._known)}"
            )


def _kind(value: object) -> str:
    names = {type(None): "null", bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list"}
    return names.get(type(value), "an object")


def _text(value: object, at: str) -> str:
    if not isinstance(value, str) or not value:
        raise ContractError(at, f"must be a string that is not empty; got {_kind(value)}")
    if len(value) > LONGEST_NAME:
        raise ContractError(at, f"must have at most {LONGEST_NAME} characters; has {len(value)}")
    return value


def _columns(value: object, at: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_COLUMNS:
        raise ContractError(at, f"must be a list of 1 to {MOST_COLUMNS} column names")
    names = tuple(_text(name, f"{at}/{i}") for i, name in enumerate(value))
    for i, name in enumerate(names):
        if name in names[:i]:
            raise ContractError(f"{at}/{i}", f"names {name!r} a second time; remove it")
    return names


def _frequency(value: object, at: str) -> Frequency:
    try:
        return Frequency.of(_text(value, at))
    except ContractError:
        raise
    except ValueError as error:
        raise ContractError(at, str(error)) from None


def _timezone(value: object, at: str) -> str:
    name = _text(value, at)
    try:
        zoneinfo.ZoneInfo(name)
    except (ValueError, OSError, zoneinfo.ZoneInfoNotFoundError):
        raise ContractError(at, f"must be an IANA zone such as Europe/Paris or UTC; got {name!r}") from None
    return name


def _number(value: object, at: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ContractError(at, f"must be a finite number or null; got {_kind(value)}")
    return float(value)


def _by_column(read: Callable[[object, str], T]) -> Callable[[object, str], dict[str, T]]:
    def parse(value: object, at: str) -> dict[str, T]:
        if not isinstance(value, Mapping) or len(value) > MOST_COLUMNS:
            raise ContractError(at, f"must be an object of at most {MOST_COLUMNS} columns; got {_kind(value)}")
        return {_text(name, at): read(each, f"{at}/{name}") for name, each in value.items()}

    return parse


def _range(value: object, at: str) -> tuple[float | None, float | None]:
    if not isinstance(value, list) or len(value) != 2:
        raise ContractError(at, "must be a list of the least and the greatest value; null for no bound")
    low, high = _number(value[0], f"{at}/0"), _number(value[1], f"{at}/1")
    if low is not None and high is not None and low > high:
        raise ContractError(at, f"must have the least value first; got {low:g} and {high:g}")
    return low, high


def _enum(value: object, at: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not 1 <= len(value) <= MOST_VALUES:
        raise ContractError(at, f"must be a list of 1 to {MOST_VALUES} values")
    for i, each in enumerate(value):
        if isinstance(each, bool) or not isinstance(each, (str, int, float)):
            raise ContractError(f"{at}/{i}", f"must be a string or a number; got {_kind(each)}")
    return tuple(str(each) for each in value)


def _nullable(value: object, at: str) -> bool | tuple[str, ...]:
    return value if isinstance(value, bool) else _columns(value, at)


def _path(value: object, at: str) -> str:
    path = _text(value, at)
    if fault := path_fault(path):
        raise ContractError(at, fault)
    return path


def _series(given: _Object) -> SeriesContract:
    contract = SeriesContract(
        time_column=given.take("time_column", _text),
        series_column=given.optional("series_column", _text, None),
        value_columns=given.take("value_columns", _columns),
        frequency=given.optional("frequency", _frequency, None),
        timezone=given.optional("timezone", _timezone, None),
        ranges=given.optional("ranges", _by_column(_range), None) or {},
        enums=given.optional("enums", _by_column(_enum), None) or {},
        nullable=given.optional("nullable", _nullable, None),
    )
    given.end()
    _roles_differ(contract)
    return contract


def _ohlcv(given: _Object) -> OhlcvContract:
    stated = given.has("volume")
    volume = given.optional("volume", _text, None)
    contract = OhlcvContract(
        time_column=given.take("time_column", _text),
        series_column=given.optional("series_column", _text, None),
        open=given.optional("open", _text, "open") or "",
        high=given.optional("high", _text, "high") or "",
        low=given.optional("low", _text, "low") or "",
        close=given.optional("close", _text, "close") or "",
        volume=volume if stated else "volume",
        frequency=given.optional("frequency", _frequency, None),
        timezone=given.optional("timezone", _timezone, None),
    )
    given.end()
    _roles_differ(contract)
    return contract


def _roles_differ(contract: TableContract) -> None:
    roles: dict[str, str] = {contract.time_column: "/time_column"}
    named = [("/series_column", contract.series_column)] if contract.series_column is not None else []
    match contract:
        case SeriesContract():
            named += [(f"/value_columns/{i}", name) for i, name in enumerate(contract.value_columns)]
        case OhlcvContract():
            named += [(f"/{role}", getattr(contract, role)) for role in ("open", "high", "low", "close", "volume")]
    for at, name in named:
        if name is None:
            continue
        if name in roles:
            raise ContractError(at, f"names the column of {roles[name]}, {name!r}; name another one")
        roles[name] = at


def _labels(value: object, at: str) -> Labels:
    given = _Object(value, at)
    labels = Labels(
        path=given.take("path", _path),
        file_column=given.take("file_column", _text),
        label_column=given.take("label_column", _text),
        split_column=given.optional("split_column", _text, None),
        patient_column=given.optional("patient_column", _text, None),
    )
    given.end()
    return labels


def _xray(given: _Object) -> XrayContract:
    contract = XrayContract(given.optional("labels", _labels, None))
    given.end()
    return contract


_PARSERS: Final[Mapping[SetType, Callable[[_Object], Contract]]] = {
    SetType.SERIES: _series,
    SetType.OHLCV: _ohlcv,
    SetType.XRAY: _xray,
}
