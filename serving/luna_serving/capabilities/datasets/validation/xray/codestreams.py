"""Heads of compressed images: their own word on rows, columns and depth, before a decoder allocates for them.

JPEG and JPEG-LS: ISO 10918-1 B.2.2, ISO 14495-1 C.2.2. JPEG 2000: ISO 15444-1 A.5.1. RLE: DICOM PS3.5 Annex G.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from luna_serving.capabilities.datasets.validation.xray import rules
from luna_serving.capabilities.datasets.validation.xray.elements import PIXELS
from luna_serving.capabilities.datasets.validation.xray.geometry import Geometry
from luna_serving.capabilities.datasets.validation.xray.report import Report

# Start of frame: Baseline to Lossless (SOF0 to SOF15 without the tables among them), and JPEG-LS.
_FRAMES: Final = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_NO_LENGTH: Final = frozenset({0x01, *range(0xD0, 0xDA)})
_MAX_SEGMENTS: Final = 1_000
_J2K_START: Final = b"\xff\x4f\xff\x51"
_RLE_HEAD_BYTES: Final = 64
_MAX_COMPONENTS: Final = 4
_MAX_TILES: Final = 65_535


@dataclass(frozen=True, slots=True)
class Announced:
    """What a codestream says of itself."""

    rows: int
    columns: int
    samples: int
    bits: int


def check_codestream(kind: str, data: bytes, geometry: Geometry, report: Report) -> None:
    """Hold a codestream's head against the data set's; raises nothing."""
    if kind == "rle":
        _check_rle(data, geometry, report)
        return
    found = _jpeg(data) if kind == "jpeg" else _jpeg_2000(data)
    if isinstance(found, str):
        report.add(rules.CODESTREAM, found, tag=PIXELS)
        return
    if (found.rows, found.columns) != (geometry.rows, geometry.columns):
        said = f"the head says {geometry.rows} x {geometry.columns}"
        message = f"The compressed image is {found.rows} x {found.columns}, {said}."
        report.add(rules.CODESTREAM, message, tag=PIXELS)
    if found.samples != 1:
        report.add(rules.CODESTREAM, f"The compressed image has {found.samples} samples per pixel.", tag=PIXELS)
    if not 2 <= found.bits <= geometry.bits_allocated:
        message = f"The compressed image has {found.bits} bits per pixel, {geometry.bits_allocated} are allocated."
        report.add(rules.CODESTREAM, message, tag=PIXELS)


def _jpeg(data: bytes) -> Announced | str:
    if data[:2] != b"\xff\xd8":
        return "The compressed image does not begin like a JPEG."
    at = 2
    for _ in range(_MAX_SEGMENTS):
        while data[at : at + 2] == b"\xff\xff":
            at += 1
        if at + 4 > len(data) or data[at] != 0xFF:
            break
        marker = data[at + 1]
        if marker in _FRAMES and at + 10 <= len(data):
            rows, columns = int.from_bytes(data[at + 5 : at + 7]), int.from_bytes(data[at + 7 : at + 9])
            return Announced(rows, columns, data[at + 9], data[at + 4])
        at += 2 if marker in _NO_LENGTH else 2 + max(int.from_bytes(data[at + 2 : at + 4]), 2)
    return "The compressed JPEG has no start of frame."


def _jpeg_2000(data: bytes) -> Announced | str:
    if data[:4] != _J2K_START or len(data) < 43:
        return "The compressed image does not begin like a JPEG 2000 codestream."
    right, bottom, left, top, tile_width, tile_height = (
        int.from_bytes(data[at : at + 4]) for at in (8, 12, 16, 20, 24, 28)
    )
    samples, depth = int.from_bytes(data[40:42]), data[42]
    if not 1 <= samples <= _MAX_COMPONENTS:
        return f"The JPEG 2000 codestream announces {samples} components."
    columns, rows = right - left, bottom - top
    if not tile_width or not tile_height or -(-right // tile_width) * -(-bottom // tile_height) > _MAX_TILES:
        return "The JPEG 2000 codestream announces too many tiles."
    return Announced(rows, columns, samples, (depth & 0x7F) + 1)


def _check_rle(data: bytes, geometry: Geometry, report: Report) -> None:
    wanted = geometry.bits_allocated // 8
    if len(data) < _RLE_HEAD_BYTES:
        report.add(rules.CODESTREAM, f"The RLE image has {len(data)} bytes, fewer than its head.", tag=PIXELS)
        return
    segments = int.from_bytes(data[:4], "little")
    if segments != wanted:
        report.add(rules.CODESTREAM, f"The RLE image has {segments} segments instead of {wanted}.", tag=PIXELS)
        return
    offsets = [int.from_bytes(data[4 * i : 4 * i + 4], "little") for i in range(1, wanted + 1)]
    edges = [*offsets, len(data)]
    if offsets[0] != _RLE_HEAD_BYTES or any(a >= b for a, b in pairwise(edges)):
        report.add(rules.CODESTREAM, "The RLE image's segments are out of order or out of its bytes.", tag=PIXELS)
