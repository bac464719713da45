"""PNG images: chunks, bounds and texts before any decode (ISO 15948)."""

import io
import zlib
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np

from luna_serving.capabilities.datasets.validation.xray import rules
from luna_serving.capabilities.datasets.validation.xray.geometry import MAX_PIXELS, MIN_SIDE, Geometry
from luna_serving.capabilities.datasets.validation.xray.pixels import Pixels
from luna_serving.capabilities.datasets.validation.xray.report import Report, Unreadable

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES: Final = 13
_MAX_CHUNKS: Final = 100_000
_INFLATED_AT_ONCE: Final = 1 << 20
_GRAY: Final = 0
_COLOURS: Final = {2: "true colour", 3: "a palette", 4: "grayscale with alpha", 6: "true colour with alpha"}
_TEXTS: Final = frozenset({b"tEXt", b"zTXt", b"iTXt", b"eXIf", b"tIME"})
# Other chunks of the standard; a text may hide in any that is not.
_KNOWN: Final = frozenset(
    b"IHDR PLTE IDAT IEND bKGD cHRM cICP cLLi dSIG gAMA hIST iCCP mDCv pHYs sBIT sPLT sRGB tRNS acTL fcTL fdAT".split()
)


class _Chunk(NamedTuple):
    kind: bytes
    start: int
    length: int


def check_png(data: memoryview, report: Report) -> Geometry | None:
    """Check a PNG's chunks; None if its pixels must not be decoded. Raises `Unreadable`."""
    chunks = list(_chunks(data, report))
    header = chunks[0]
    if header.kind != b"IHDR" or header.length != _HEADER_BYTES:
        raise Unreadable(rules.PNG_STRUCTURE, "The first chunk is no IHDR of 13 bytes.")
    before = report.errors
    fields = bytes(data[header.start : header.start + _HEADER_BYTES])
    columns, rows, depth, colour = int.from_bytes(fields[:4]), int.from_bytes(fields[4:8]), fields[8], fields[9]
    _check_header(rows, columns, depth, colour, report)
    if fields[10] or fields[11] or fields[12] > 1:
        report.add(rules.PNG_STRUCTURE, "IHDR names an unknown compression, filter or interlace method.")
    for kind in _TEXTS:
        found = [chunk for chunk in chunks if chunk.kind == kind]
        if found:
            size = sum(chunk.length for chunk in found)
            message = f"{len(found)} {kind.decode()} chunks hold {size} bytes."
            report.add(rules.PNG_TEXT, message, count=len(found))
    unknown = [chunk for chunk in chunks if chunk.kind not in _KNOWN | _TEXTS]
    if unknown:
        size = sum(chunk.length for chunk in unknown)
        report.add(
            rules.PNG_TEXT,
            f"{len(unknown)} chunks that the standard does not know hold {size} bytes.",
            count=len(unknown),
        )
    if any(chunk.kind == b"acTL" for chunk in chunks):
        report.add(rules.PNG_ANIMATED, "The file has an acTL chunk.")
    if not any(chunk.kind == b"IDAT" for chunk in chunks):
        report.add(rules.PNG_STRUCTURE, "The file has no IDAT chunk.")
    if report.errors > before and not _decodable(rows, columns, depth, colour):
        return None
    return Geometry(rows, columns, depth, depth, False, "MONOCHROME2", 1, 0, None)


def _decodable(rows: int, columns: int, depth: int, colour: int) -> bool:
    return colour == _GRAY and depth in {8, 16} and min(rows, columns) >= MIN_SIDE and rows * columns <= MAX_PIXELS


def _check_header(rows: int, columns: int, depth: int, colour: int, report: Report) -> None:
    if rows * columns > MAX_PIXELS:
        report.add(rules.TOO_LARGE, f"{rows} rows x {columns} columns are more than {MAX_PIXELS:,} pixels.")
    elif min(rows, columns) < MIN_SIDE:
        report.add(rules.TOO_SMALL, f"The image has {rows} rows and {columns} columns.")
    if colour != _GRAY:
        report.add(rules.PNG_COLOUR, f"The colour type is {colour}: {_COLOURS.get(colour, 'unknown')}.")
    elif depth not in {8, 16}:
        report.add(rules.PNG_DEPTH, f"The bit depth is {depth}.")


def _chunks(data: memoryview, report: Report) -> Iterator[_Chunk]:
    """The chunks up to IEND, their checksums checked."""
    at, end = len(SIGNATURE), len(data)
    for _ in range(_MAX_CHUNKS):
        if at + 12 > end:
            raise Unreadable(rules.PNG_STRUCTURE, f"The file ends at byte {end}, without IEND.")
        length = int.from_bytes(data[at : at + 4])
        kind = bytes(data[at + 4 : at + 8])
        if at + 12 + length > end:
            raise Unreadable(
                rules.PNG_STRUCTURE, f"A chunk at byte {at} announces {length} bytes, and {end - at - 12} are left."
            )
        start = at + 8
        at = start + length + 4
        if zlib.crc32(data[start - 4 : start + length]) != int.from_bytes(data[at - 4 : at]):
            raise Unreadable(rules.PNG_STRUCTURE, f"The checksum of the chunk at byte {start - 8} is wrong.")
        yield _Chunk(kind, start, length)
        if kind == b"IEND":
            if at < end:
                report.add(rules.PNG_TRAILING, f"{end - at} bytes follow IEND.")
            return
    raise Unreadable(rules.PNG_STRUCTURE, f"The file has more than {_MAX_CHUNKS:,} chunks.")


class RowsMissing(Exception):
    """The compressed data end before the last row."""


def decode_png(data: memoryview, geometry: Geometry) -> Pixels:
    """Pixels of a grayscale PNG; may raise anything that Pillow raises, and `RowsMissing`."""
    from PIL import Image

    with Image.open(io.BytesIO(data), formats=("PNG",)) as image:
        image.load()
        pixels = np.asarray(image)
        interlaced = image.info.get("interlace", 0)
    # Pillow leaves rows black that the data do not reach.
    if not interlaced and not pixels[-1].any():
        wanted = geometry.rows * (1 + geometry.columns * geometry.bits_stored // 8)
        if _inflated(data, wanted) < wanted:
            raise RowsMissing
    return pixels.reshape(geometry.rows, geometry.columns).astype(
        np.uint8 if geometry.bits_stored == 8 else np.uint16, copy=False
    )


def _inflated(data: memoryview, most: int) -> int:
    """Bytes that the IDAT chunks inflate to, counted up to `most`."""
    inflate, size, at = zlib.decompressobj(), 0, len(SIGNATURE)
    while size < most and not inflate.eof and at + 12 <= len(data):
        length = int.from_bytes(data[at : at + 4])
        if bytes(data[at + 4 : at + 8]) == b"IDAT":
            pending = bytes(data[at + 8 : at + 8 + length])
            while pending and size < most and not inflate.eof:
                size += len(inflate.decompress(pending, _INFLATED_AT_ONCE))
                pending = inflate.unconsumed_tail
        at += length + 12
    return size
