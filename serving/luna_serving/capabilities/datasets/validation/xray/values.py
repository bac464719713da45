"""Values of elements, read from bytes; whoever calls decides whether a value may be shown."""

import re
from collections.abc import Iterable
from typing import Final

from luna_serving.capabilities.datasets.validation.xray import rules
from luna_serving.capabilities.datasets.validation.xray.dictionary import name_of
from luna_serving.capabilities.datasets.validation.xray.elements import Element
from luna_serving.capabilities.datasets.validation.xray.report import Report, shown

# Longer values are compared and hashed by their beginning; no checked value is this long.
MAX_VALUE_BYTES: Final = 65_536
_UID: Final = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*))*")
_MAX_UID: Final = 64
_DECIMAL: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")


class Values:
    """Values of the elements that no sequence contains."""

    def __init__(self, data: memoryview, elements: Iterable[Element], report: Report, *, little: bool = True) -> None:
        """Index elements by their tags; the first of duplicates counts."""
        self._data = data
        self._little = little
        self._report = report
        self.by_tag: dict[int, Element] = {}
        for element in elements:
            self.by_tag.setdefault(element.tag, element)

    def raw(self, element: Element) -> bytes:
        """Bytes of a value without its padding."""
        value = bytes(self._data[element.start : element.start + min(element.length, MAX_VALUE_BYTES)])
        return value.strip(b" \0")

    def has(self, tag: int) -> bool:
        """Whether the element is there with a value."""
        element = self.by_tag.get(tag)
        return element is not None and element.length > 0 and (element.vr == "SQ" or bool(self.raw(element)))

    def bytes_of(self, tag: int) -> bytes:
        """Bytes of a value without its padding, none if there is no element."""
        element = self.by_tag.get(tag)
        return b"" if element is None else self.raw(element)

    def text(self, tag: int) -> str:
        """A value in ASCII; other bytes become question marks."""
        return self.bytes_of(tag).decode("ascii", "replace")

    def uid(self, tag: int) -> str:
        """A UID; reports one that is none."""
        uid = self.text(tag)
        if uid and (len(uid) > _MAX_UID or not _UID.fullmatch(uid)):
            self._report.add(rules.UID, f"{name_of(tag)} {shown(tag)} is no UID.", tag=tag)
        return uid

    def integer(self, tag: int) -> int | None:
        """An unsigned short (US), the first of several; None if there is none. Reports a wrong form."""
        element = self.by_tag.get(tag)
        if element is None or element.length == 0:
            return None
        if element.vr not in {"US", "SS", "UN"} or element.length % 2:
            self._report.add(
                rules.VALUE, f"{name_of(tag)} {shown(tag)} is no unsigned short but {element.length} bytes.", tag=tag
            )
            return None
        return int.from_bytes(self._data[element.start : element.start + 2], "little" if self._little else "big")

    def decimal(self, tag: int, default: float) -> float | None:
        """A decimal string (DS, IS), the first of several; None, and a finding, if it is no number."""
        text = self.text(tag).split("\\", 1)[0].strip()
        if not text:
            return default
        if not _DECIMAL.fullmatch(text):
            self._report.add(rules.VALUE, f"{name_of(tag)} {shown(tag)} is no decimal number.", tag=tag)
            return None
        return float(text)
