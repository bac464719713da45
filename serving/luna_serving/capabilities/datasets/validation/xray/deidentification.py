"""Looks for what identifies a person: PS3.15 Annex E, Basic Application Level Confidentiality Profile.

A validator cannot know whether a name is real. It takes the owner's word: a file that declares its de-identification in
(0012,0062) may have dummy values where the profile allows them, and the options that (0012,0064) names are honoured.
Without that word every value counts. A value is never shown: a finding has the tag, the VR, the length and a salted
hash.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from luna_serving.capabilities.datasets.validation.findings import Rule
from luna_serving.capabilities.datasets.validation.xray import rules
from luna_serving.capabilities.datasets.validation.xray.dictionary import name_of
from luna_serving.capabilities.datasets.validation.xray.elements import Element, Walk
from luna_serving.capabilities.datasets.validation.xray.head import Opened
from luna_serving.capabilities.datasets.validation.xray.profile import REMOVED, REPLACED, Kind
from luna_serving.capabilities.datasets.validation.xray.report import Report, digest, shown
from luna_serving.capabilities.datasets.validation.xray.values import Values

_RULES: Final[Mapping[Kind, Rule]] = {
    Kind.NAME: rules.NAME,
    Kind.IDENTIFIER: rules.IDENTIFIER,
    Kind.BIRTH: rules.BIRTH,
    Kind.DATE: rules.DATE,
    Kind.PLACE: rules.PLACE,
    Kind.DEVICE: rules.DEVICE,
    Kind.TEXT: rules.TEXT,
    Kind.CHARACTERISTIC: rules.CHARACTERISTIC,
    Kind.SQ: rules.SEQUENCE,
}
# PS3.16 CID 7050: options of the profile, and what each one keeps or cleans.
_OPTIONS: Final[Mapping[Kind, frozenset[bytes]]] = {
    Kind.DATE: frozenset({b"113106", b"113107"}),
    Kind.DEVICE: frozenset({b"113109"}),
    Kind.PLACE: frozenset({b"113112"}),
    Kind.TEXT: frozenset({b"113105"}),
    Kind.CHARACTERISTIC: frozenset({b"113108"}),
    Kind.UID: frozenset({b"113110"}),
}
_SAFE_PRIVATE: Final = b"113111"

_REMOVED_FLAG: Final = 0x00120062
_METHODS: Final = 0x00120064
_CODE_VALUE: Final = 0x00080100
_TIMES: Final = 0x00280303
_BURNED_IN: Final = 0x00280301
_AGE: Final = 0x00101010
_PATIENT_NAME: Final = 0x00100010
_PATIENT_ID: Final = 0x00100020
_MAX_AGE: Final = 90
# What de-identifiers write instead of a value.
_DUMMIES: Final = frozenset(
    b"anon anonym anonymous anonymized anonymised removed deidentified none unknown na n/a null xxx redacted".split()
)
_NO_LETTERS: Final = re.compile(rb"[^a-z/]")
_TWO_WORDS: Final = re.compile(rb"[^\W\d]{2,}[\^ ,=]+[^\W\d]{2,}")
# Shorter values occur in file names by chance.
_MIN_NAME_BYTES: Final = 4


@dataclass(frozen=True, slots=True)
class Declaration:
    """What the file says about its de-identification."""

    removed: bool
    """Patient Identity Removed is YES."""
    options: frozenset[bytes]
    """Codes of the profile's options."""
    times_changed: bool
    """Longitudinal Temporal Information Modified is MODIFIED or REMOVED."""

    def allows(self, tag: int, kind: Kind) -> bool:
        """Whether a value is right where this is declared."""
        if not self.removed:
            return False
        if not self.options.isdisjoint(_OPTIONS.get(kind, ())) or (kind is Kind.DATE and self.times_changed):
            return True
        return tag in REPLACED and kind is not Kind.DATE


def check_identity(opened: Opened, report: Report) -> None:
    """Report every element that may identify a person."""
    walk, values = opened.walk, opened.values
    declared = _declaration(walk, values)
    if not declared.removed:
        report.add(rules.UNDECLARED, f"{name_of(_REMOVED_FLAG)} is not YES.", tag=_REMOVED_FLAG)
    private: dict[int, list[Element]] = defaultdict(list)
    overlays: dict[int, list[Element]] = defaultdict(list)
    uids: list[Element] = []
    for element in (*opened.meta.elements, *walk.elements):
        group = element.tag >> 16
        if group & 1:
            private[group].append(element)
        elif group & 0xFF00 in {0x5000, 0x6000}:
            overlays[group].append(element)
        elif (kind := _kind(element, values)) is not None and not declared.allows(element.tag, kind):
            if kind is Kind.UID:
                uids.append(element)
            else:
                _report_value(element, kind, values, report)
    _report_groups(private, overlays, report, safe=declared.removed and _SAFE_PRIVATE in declared.options)
    if uids:
        message = f"{len(uids)} instance UIDs are taken for the original ones."
        report.add(rules.ORIGINAL_UID, message, tag=uids[0].tag, count=len(uids))
    _check_age(values, report)
    _check_pixels(values, report)
    if declared.removed and _TWO_WORDS.search(values.bytes_of(_PATIENT_NAME)):
        report.add(rules.LIKE_A_NAME, _place(values.by_tag[_PATIENT_NAME], values, report), tag=_PATIENT_NAME)
    _check_file_name(values, report)


def _declaration(walk: Walk, values: Values) -> Declaration:
    codes = {values.raw(e) for e in walk.elements if e.tag == _CODE_VALUE and e.parent == _METHODS}
    return Declaration(
        values.text(_REMOVED_FLAG) == "YES", frozenset(codes), values.text(_TIMES) in {"MODIFIED", "REMOVED"}
    )


def _kind(element: Element, values: Values) -> Kind | None:
    """What an element tells about a person; None if nothing."""
    kind = REMOVED.get(element.tag) or REPLACED.get(element.tag)
    if kind is None:
        # A newer standard or another IOD: these VRs say what they hold.
        kind = {"PN": Kind.NAME, "DA": Kind.DATE, "DT": Kind.DATE}.get(element.vr)
    if kind is None or element.length == 0:
        return None
    if kind is Kind.SQ:
        return kind if element.length > 8 else None  # Longer than a delimiter: it has items.
    value = values.raw(element)
    return kind if value and _NO_LETTERS.sub(b"", value.lower()) not in _DUMMIES else None


def _report_value(element: Element, kind: Kind, values: Values, report: Report) -> None:
    report.add(_RULES[kind], _place(element, values, report), tag=element.tag)


def _place(element: Element, values: Values, report: Report) -> str:
    inside = f", inside {shown(element.parent)}" if element.parent else ""
    if element.vr == "SQ":
        return f"{name_of(element.tag)} {shown(element.tag)}{inside} has items of {element.length} bytes."
    hashed = digest(values.raw(element), report.salt)
    return (
        f"{name_of(element.tag)} {shown(element.tag)}{inside} is not empty: "
        f"VR {element.vr}, {element.length} bytes, hash {hashed}."
    )


def _report_groups(
    private: Mapping[int, list[Element]], overlays: Mapping[int, list[Element]], report: Report, *, safe: bool
) -> None:
    for group, elements in private.items() if not safe else ():
        size = sum(e.length for e in elements if e.vr != "SQ")
        message = f"Group {group:04X} has {len(elements)} private elements of {size} bytes."
        report.add(rules.PRIVATE, message, tag=elements[0].tag, count=len(elements))
    for group, elements in overlays.items():
        message = f"Group {group:04X} holds {'an overlay' if group >= 0x6000 else 'a curve'}."
        report.add(rules.OVERLAY, message, tag=elements[0].tag, count=len(elements))


def _check_age(values: Values, report: Report) -> None:
    age = values.bytes_of(_AGE)
    if re.fullmatch(rb"\d{3}Y", age) and int(age[:3]) > _MAX_AGE:
        report.add(rules.AGE, f"{name_of(_AGE)} {shown(_AGE)} is above 89 years.", tag=_AGE)


def _check_pixels(values: Values, report: Report) -> None:
    match values.text(_BURNED_IN):
        case "NO":
            pass
        case "YES":
            report.add(rules.BURNED_IN, f"{name_of(_BURNED_IN)} is YES.", tag=_BURNED_IN)
        case _:
            report.add(rules.BURNED_IN_UNKNOWN, f"{name_of(_BURNED_IN)} is neither YES nor NO.", tag=_BURNED_IN)


def _check_file_name(values: Values, report: Report) -> None:
    name = report.name.casefold()
    for tag in (_PATIENT_NAME, _PATIENT_ID):
        parts = re.split(rb"[\^ =,]+", values.bytes_of(tag))
        if any(len(part) >= _MIN_NAME_BYTES and part.decode("latin-1").casefold() in name for part in parts):
            report.add(rules.FILE_NAME, f"A part of {name_of(tag)} {shown(tag)} is in the file's name.", tag=tag)
