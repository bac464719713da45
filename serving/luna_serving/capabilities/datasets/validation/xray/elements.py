"""Walks over the elements of a DICOM data set, without decoding a value (PS3.5 section 7).

The walk has bounds for depth and number, holds every length against the end of what contains it, and reports what
pydicom tolerates in silence: a later duplicate would replace the earlier one, a truncated value would be shortened.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from luna_serving.capabilities.datasets.validation.xray import rules
from luna_serving.capabilities.datasets.validation.xray.dictionary import vr_of
from luna_serving.capabilities.datasets.validation.xray.report import Report, Unreadable, shown

MAX_DEPTH: Final = 16
MAX_ELEMENTS: Final = 20_000
MAX_FRAGMENTS: Final = 4_096
UNDEFINED: Final = 0xFFFFFFFF
META_GROUP: Final = 2
PIXELS: Final = 0x7FE00010
_ITEM: Final = 0xFFFEE000
_ITEM_END: Final = 0xFFFEE00D
_SEQUENCE_END: Final = 0xFFFEE0DD
# Commands, the file meta group, items and delimiters.
_NO_DATA_SET: Final = frozenset({0, META_GROUP, 0xFFFE})

# PS3.5 table 7.1-1: two bytes reserved, then a length of four.
_LONG: Final = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
_SHORT: Final = frozenset(b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split())


class Element(NamedTuple):
    """Where an element's value is."""

    tag: int
    vr: str
    start: int
    """Offset of the value."""
    length: int
    """Bytes of the value; of an undefined length those up to its delimiter."""
    depth: int
    """0 for an element that no sequence contains."""
    parent: int
    """Tag of the innermost sequence that contains it, else 0."""


class Place(NamedTuple):
    """What contains the elements that are being read."""

    depth: int
    parent: int


@dataclass(slots=True)
class Walk:
    """One walk over a data set."""

    data: memoryview
    report: Report
    explicit: bool = True
    little: bool = True
    elements: list[Element] = field(default_factory=list)
    fragments: list[tuple[int, int]] = field(default_factory=list)
    """Offset and length of each fragment of compressed pixels, the offset table first."""
    end: int = 0
    _read: int = 0

    def run(self, start: int, end: int) -> None:
        """Read the elements from `start` to `end`; raises `Unreadable`."""
        self.end = self._elements(start, end, Place(0, 0), delimited=False)

    def meta(self, start: int, end: int) -> int:
        """Read the file meta group, always in Explicit VR Little Endian; return where it ends."""
        at = start
        while at < end and self._tag(at) >> 16 == META_GROUP:
            tag, vr, length, value = self._header(at, end)
            self._count()
            if length == UNDEFINED or value + length > end:
                raise Unreadable(rules.TRUNCATED, f"{shown(tag)} reaches past the end of the file.", tag)
            self.elements.append(Element(tag, vr, value, length, 0, 0))
            at = value + length
        return at

    def _number(self, at: int, size: int) -> int:
        return int.from_bytes(self.data[at : at + size], "little" if self.little else "big")

    def _tag(self, at: int) -> int:
        return self._number(at, 2) << 16 | self._number(at + 2, 2)

    def _header(self, at: int, end: int) -> tuple[int, str, int, int]:
        """Tag, VR, length and the value's offset of the element at an offset."""
        if at + 8 > end:
            raise Unreadable(rules.TRUNCATED, f"The file ends inside the head of an element at byte {at}.")
        tag = self._tag(at)
        if tag >> 16 == 0xFFFE:
            return tag, "", self._number(at + 4, 4), at + 8
        if not self.explicit:
            return tag, vr_of(tag), self._number(at + 4, 4), at + 8
        vr = bytes(self.data[at + 4 : at + 6])
        if vr in _SHORT:
            return tag, vr.decode(), self._number(at + 6, 2), at + 8
        if vr not in _LONG:
            raise Unreadable(
                rules.UNKNOWN_VR, f"{shown(tag)} at byte {at} has a VR that the standard does not know.", tag
            )
        if at + 12 > end:
            raise Unreadable(rules.TRUNCATED, f"The file ends inside the head of {shown(tag)} at byte {at}.", tag)
        return tag, vr.decode(), self._number(at + 8, 4), at + 12

    def _elements(self, at: int, end: int, place: Place, *, delimited: bool) -> int:
        """Read elements up to `end`, or up to the delimiter of an item; return where they end."""
        seen: set[int] = set()
        highest = 0
        while at < end:
            if place.depth == 0 and self._only_zeros(at, end):
                return at
            tag, vr, length, value = self._header(at, end)
            if tag == _ITEM_END and delimited:
                return value
            if tag >> 16 in _NO_DATA_SET:
                raise Unreadable(rules.STRUCTURE, f"{shown(tag)} at byte {at} does not belong into a data set.", tag)
            if tag in seen:
                self.report.add(rules.DUPLICATE, f"{shown(tag)} occurs twice.", tag=tag)
            elif tag < highest:
                self.report.add(rules.ORDER, f"{shown(tag)} follows {shown(highest)}.", tag=tag)
            seen.add(tag)
            highest = max(tag, highest)
            self._count()
            at = self._value(tag, vr, length, value, end, place)
        if delimited:
            raise Unreadable(rules.TRUNCATED, f"An item of {shown(place.parent)} is not closed.", place.parent)
        return at

    def _only_zeros(self, at: int, end: int) -> bool:
        """Whether zero bytes, and no element, fill the rest of the file; group 0 does not occur in files."""
        if end - at >= 4 and self._number(at, 4):
            return False
        if bytes(self.data[at:end]).strip(b"\0"):
            return False
        self.report.add(rules.TRAILING, f"{end - at} zero bytes follow the last element.")
        return True

    def _count(self) -> None:
        self._read += 1
        if self._read > MAX_ELEMENTS:
            raise Unreadable(rules.ELEMENTS, f"The data set has more than {MAX_ELEMENTS} elements and items.")

    def _value(self, tag: int, vr: str, length: int, value: int, end: int, place: Place) -> int:
        """Note an element, walk into it if it is a sequence, and return where it ends."""
        index = len(self.elements)
        self.elements.append(Element(tag, vr, value, length, *place))
        if length != UNDEFINED and value + length > end:
            raise Unreadable(
                rules.TRUNCATED,
                f"{shown(tag)} announces {length} bytes, and {max(end - value, 0)} are left.",
                tag,
            )
        if tag == PIXELS and place.depth == 0 and length == UNDEFINED:
            after = self._pixel_fragments(value, end)
        elif vr == "SQ" or (vr == "UN" and length == UNDEFINED):
            after = self._sequence(tag, vr, length, value, end, place)
        elif length == UNDEFINED:
            raise Unreadable(rules.STRUCTURE, f"{shown(tag)} is no sequence and has no length.", tag)
        else:
            after = value + length
            if length % 2:
                self.report.add(rules.ODD, f"{shown(tag)} has {length} bytes.", tag=tag)
        if length == UNDEFINED:
            self.elements[index] = self.elements[index]._replace(length=after - value)
        return after

    def _sequence(self, tag: int, vr: str, length: int, at: int, end: int, place: Place) -> int:
        if place.depth >= MAX_DEPTH:
            raise Unreadable(rules.DEPTH, f"{shown(tag)} is nested in more than {MAX_DEPTH} sequences.", tag)
        explicit, self.explicit = self.explicit, self.explicit and vr != "UN"  # PS3.5 6.2.2 note 4
        stop = end if length == UNDEFINED else at + length
        inner = Place(place.depth + 1, tag)
        while at < stop:
            item, _, size, at = self._header(at, stop)
            if item == _SEQUENCE_END and length == UNDEFINED:
                self.explicit = explicit
                return at
            if item != _ITEM:
                raise Unreadable(rules.STRUCTURE, f"{shown(tag)} holds something that is no item.", tag)
            self._count()
            if size == UNDEFINED:
                at = self._elements(at, stop, inner, delimited=True)
            elif at + size > stop:
                raise Unreadable(rules.TRUNCATED, f"An item of {shown(tag)} reaches past its end.", tag)
            else:
                at = self._elements(at, at + size, inner, delimited=False)
        if length == UNDEFINED:
            raise Unreadable(rules.TRUNCATED, f"{shown(tag)} is not closed.", tag)
        self.explicit = explicit
        return at

    def _pixel_fragments(self, at: int, end: int) -> int:
        while at < end:
            tag, _, length, at = self._header(at, end)
            if tag == _SEQUENCE_END:
                return at
            if tag != _ITEM or length == UNDEFINED:
                raise Unreadable(rules.STRUCTURE, "The compressed pixels hold something that is no fragment.", PIXELS)
            if at + length > end:
                raise Unreadable(
                    rules.TRUNCATED,
                    f"A fragment of the pixels announces {length} bytes, and {end - at} are left.",
                    PIXELS,
                )
            if len(self.fragments) >= MAX_FRAGMENTS:
                raise Unreadable(rules.ELEMENTS, f"The pixels have more than {MAX_FRAGMENTS} fragments.", PIXELS)
            self.fragments.append((at, length))
            at += length
        raise Unreadable(rules.TRUNCATED, "The compressed pixels are not closed: their end is missing.", PIXELS)

    def top(self) -> Iterator[Element]:
        """Elements that no sequence contains."""
        return (element for element in self.elements if element.depth == 0)
