"""Head of a DICOM file: what can be refused before any pixel is decoded (PS3.10, PS3.3 C.7.6.3)."""

from dataclasses import dataclass, field
from typing import Final

from luna_serving.capabilities.datasets.validation.xray import rules
from luna_serving.capabilities.datasets.validation.xray.dictionary import (
    CR,
    DEFLATED,
    DX,
    MODALITIES,
    OTHER_CLASSES,
    OTHER_XRAY,
    REFUSED_SYNTAXES,
    TRANSFER_SYNTAXES,
    TransferSyntax,
    name_of,
)
from luna_serving.capabilities.datasets.validation.xray.elements import META_GROUP, Walk
from luna_serving.capabilities.datasets.validation.xray.geometry import Geometry, check_geometry
from luna_serving.capabilities.datasets.validation.xray.report import Report, Unreadable, digest, shown
from luna_serving.capabilities.datasets.validation.xray.values import Values

PREAMBLE_BYTES: Final = 128
MARK: Final = b"DICM"
# Beginnings that make a preamble a program or another format: DOS and Windows, ELF, Mach-O, scripts, TIFF, PDF, ZIP.
_ACTIVE: Final = (b"MZ", b"\x7fELF", b"\xcf\xfa\xed\xfe", b"\xce\xfa\xed\xfe", b"#!", b"%PDF", b"PK\3\4", b"<")
_TIFF: Final = (b"II*\0", b"MM\0*")

_SYNTAX: Final = 0x00020010
_SOP_CLASS: Final = 0x00080016
_SOP_INSTANCE: Final = 0x00080018
_MODALITY: Final = 0x00080060
_PATIENT: Final = 0x00100020
_REQUIRED: Final = (_SOP_CLASS, _SOP_INSTANCE, 0x0020000D, 0x0020000E, _MODALITY)
# Type 1 in the DX IOD (PS3.3 A.26) beyond what every image needs.
_REQUIRED_DX: Final = (0x00080068, 0x00281040, 0x00281041, 0x00281052, 0x00281053, 0x00281054, 0x20500020)
# What may tell a class apart though it shows nothing of the patient.
ACQUISITION: Final = {
    "manufacturer": 0x00080070,
    "model": 0x00081090,
    "kvp": 0x00180060,
    "view": 0x00185101,
    "body_part": 0x00180015,
}


@dataclass(frozen=True, slots=True)
class Head:
    """A checked head. Texts of the file are in it as salted hashes only."""

    geometry: Geometry | None
    """None if the pixels must not be decoded; a finding says why."""
    instance: str | None
    patient: str | None
    acquisition: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opened:
    """A data set whose elements were read."""

    walk: Walk
    meta: Walk
    values: Values
    syntax: TransferSyntax


def open_dicom(data: memoryview, report: Report) -> Opened:
    """Check mark, preamble and file meta group, then walk over the data set; raises `Unreadable`."""
    size = len(data)
    if bytes(data[PREAMBLE_BYTES : PREAMBLE_BYTES + 4]) != MARK:
        raise Unreadable(rules.NO_MARK, f"`DICM` is not at byte {PREAMBLE_BYTES}.")
    preamble = bytes(data[:PREAMBLE_BYTES])
    if preamble.startswith(_ACTIVE):
        report.add(rules.ACTIVE_PREAMBLE, "The preamble begins like a program or a document.")
    elif any(preamble):
        kind = "a TIFF file's head" if preamble.startswith(_TIFF) else "data"
        report.add(rules.PREAMBLE, f"The preamble holds {kind}.")
    meta = Walk(data, report)
    start = meta.meta(PREAMBLE_BYTES + len(MARK), size)
    group = Values(data, meta.elements, report)
    syntax = _transfer_syntax(group)
    _check_group_length(data, meta, start, report)
    walk = Walk(data, report, explicit=syntax.explicit, little=syntax.little)
    walk.run(start, size)
    values = Values(data, walk.top(), report, little=syntax.little)
    for inside, outside in ((0x00020002, _SOP_CLASS), (0x00020003, _SOP_INSTANCE)):
        if group.has(inside) and values.has(outside) and group.text(inside) != values.text(outside):
            report.add(rules.META, f"{shown(inside)} and {shown(outside)} differ.", tag=inside)
    if not syntax.little:
        report.add(rules.RETIRED, f"The transfer syntax is {syntax.name}.", tag=_SYNTAX)
    return Opened(walk, meta, values, syntax)


def _transfer_syntax(group: Values) -> TransferSyntax:
    uid = group.uid(_SYNTAX)
    if not uid:
        raise Unreadable(rules.META, "The file meta group names no transfer syntax.", _SYNTAX)
    if uid == DEFLATED:
        raise Unreadable(rules.DEFLATED, "The data set is deflated; it may be of any size, and is not read.", _SYNTAX)
    syntax = TRANSFER_SYNTAXES.get(uid)
    if syntax is None:
        name = REFUSED_SYNTAXES.get(uid, "unknown")
        raise Unreadable(rules.SYNTAX, f"The transfer syntax is {name}.", _SYNTAX)
    return syntax


def _check_group_length(data: memoryview, meta: Walk, start: int, report: Report) -> None:
    first = meta.elements[0]
    if first.tag != META_GROUP << 16 or first.length != 4:
        report.add(rules.META, "The file meta group does not begin with its length.", tag=META_GROUP << 16)
        return
    announced = int.from_bytes(data[first.start : first.start + 4], "little")
    if first.start + 4 + announced != start:
        held = start - first.start - 4
        report.add(rules.META, f"The file meta group announces {announced} bytes and has {held}.", tag=META_GROUP << 16)


def check_head(opened: Opened, report: Report) -> Head:
    """Check what the data set says about the image."""
    values = opened.values
    for tag in _REQUIRED:
        if not values.has(tag):
            report.add(rules.REQUIRED, f"{name_of(tag)} {shown(tag)} is missing or empty.", tag=tag)
    for tag in (_SOP_CLASS, _SOP_INSTANCE, 0x0020000D, 0x0020000E):
        values.uid(tag)
    _check_class(values, report)
    geometry = check_geometry(opened.walk, values, opened.syntax, report)
    return Head(
        geometry,
        _hash(values, _SOP_INSTANCE, report),
        _hash(values, _PATIENT, report),
        {name: hashed for name, tag in ACQUISITION.items() if (hashed := _hash(values, tag, report))},
    )


def _hash(values: Values, tag: int, report: Report) -> str | None:
    value = values.bytes_of(tag)
    return digest(value, report.salt) if value else None


def _check_class(values: Values, report: Report) -> None:
    uid = values.text(_SOP_CLASS)
    if not uid:
        return
    if uid in OTHER_XRAY:
        report.add(rules.OTHER_XRAY, f"The file is {OTHER_XRAY[uid]}.", tag=_SOP_CLASS)
    elif uid not in {CR, DX}:
        kind = OTHER_CLASSES.get(uid, "of another or an unknown class")
        report.add(rules.SOP_CLASS, f"The file is {kind}.", tag=_SOP_CLASS)
        return
    if uid == DX:
        for tag in _REQUIRED_DX:
            if not values.has(tag):
                report.add(rules.REQUIRED_DX, f"{name_of(tag)} {shown(tag)} is missing or empty.", tag=tag)
    allowed = MODALITIES[uid]
    if values.has(_MODALITY) and values.text(_MODALITY) not in allowed:
        report.add(rules.MODALITY, f"Modality is not {' or '.join(allowed)}.", tag=_MODALITY)
