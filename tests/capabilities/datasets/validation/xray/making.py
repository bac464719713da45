"""Makes DICOM and PNG files byte by byte, right ones and broken ones. Uses nothing that the validator uses."""

import struct
import zlib
from collections.abc import Mapping

import numpy as np

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
JPEG_BASELINE = "1.2.840.10008.1.2.4.50"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
JPEG_LS = "1.2.840.10008.1.2.4.80"
JPEG_2000 = "1.2.840.10008.1.2.4.90"
RLE = "1.2.840.10008.1.2.5"
CR = "1.2.840.10008.5.1.4.1.1.1"
DX = "1.2.840.10008.5.1.4.1.1.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
MAMMOGRAM = "1.2.840.10008.5.1.4.1.1.1.2"

LONG = {"OB", "OW", "SQ", "UN", "UT", "UC"}
PIXELS = 0x7FE00010
UNDEFINED = 0xFFFFFFFF
Value = tuple[str, bytes]


def us(*numbers: int) -> Value:
    return "US", struct.pack(f"<{len(numbers)}H", *numbers)


def text(vr: str, value: str) -> Value:
    raw = value.encode()
    return vr, raw + (b"\0" if vr == "UI" else b" ") * (len(raw) % 2)


def image(seed: int = 0, side: int = 64, bits: int = 12) -> np.ndarray:
    """A smooth picture with noise: no copy of another seed's."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(8, 8))
    smooth = np.kron(coarse, np.ones((side // 8, side // 8)))
    for _ in range(3):
        smooth = (smooth + np.roll(smooth, side // 16, 0) + np.roll(smooth, side // 16, 1)) / 3
    noisy = smooth + rng.normal(size=(side, side)) * 0.05
    scaled = (noisy - noisy.min()) / (noisy.max() - noisy.min())
    return (scaled * ((1 << bits) - 1)).astype(np.uint16)


def header(tag: int, vr: str, length: int, *, explicit: bool = True, order: str = "<") -> bytes:
    start = struct.pack(f"{order}HH", tag >> 16, tag & 0xFFFF)
    if not explicit:
        return start + struct.pack(f"{order}I", length)
    if vr in LONG:
        return start + vr.encode() + b"\0\0" + struct.pack(f"{order}I", length)
    return start + vr.encode() + struct.pack(f"{order}H", length)


def element(tag: int, value: Value, *, explicit: bool = True) -> bytes:
    vr, raw = value
    return header(tag, vr, len(raw), explicit=explicit) + raw


def item(*elements: bytes) -> bytes:
    raw = b"".join(elements)
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(raw)) + raw


def method(*codes: str) -> Value:
    """A De-identification Method Code Sequence."""
    return "SQ", b"".join(item(element(0x00080100, text("SH", code))) for code in codes)


def clean(pixels: np.ndarray | None = None, number: int = 1, bits: int = 12) -> dict[int, Value]:
    """Elements of a CR image about which there is nothing to say."""
    pixels = image(number, bits=bits) if pixels is None else pixels
    return {
        0x00080008: text("CS", "ORIGINAL\\PRIMARY"),
        0x00080016: text("UI", CR),
        0x00080018: text("UI", f"2.25.{1000 + number}"),
        0x00080060: text("CS", "CR"),
        0x00080070: text("LO", "Maker"),
        0x00100010: text("PN", ""),
        0x00100020: text("LO", f"P{number:04d}"),
        0x00120062: text("CS", "YES"),
        0x00120064: method("113100"),
        0x00180060: text("DS", "120"),
        0x00181164: text("DS", "0.15\\0.15"),
        0x0020000D: text("UI", f"2.25.{2000 + number}"),
        0x0020000E: text("UI", f"2.25.{3000 + number}"),
        0x00280002: us(1),
        0x00280004: text("CS", "MONOCHROME2"),
        0x00280010: us(pixels.shape[0]),
        0x00280011: us(pixels.shape[1]),
        0x00280100: us(8 * pixels.dtype.itemsize),
        0x00280101: us(bits),
        0x00280102: us(bits - 1),
        0x00280103: us(0),
        0x00280301: text("CS", "NO"),
        PIXELS: ("OW", pixels.astype(pixels.dtype.newbyteorder("<")).tobytes()),
    }


def meta(syntax: str, sop_class: str = CR, instance: str = "2.25.1001") -> bytes:
    group = b"".join(
        element(tag, value)
        for tag, value in (
            (0x00020001, ("OB", b"\0\1")),
            (0x00020002, text("UI", sop_class)),
            (0x00020003, text("UI", instance)),
            (0x00020010, text("UI", syntax)),
            (0x00020012, text("UI", "2.25.9")),
        )
    )
    return element(0x00020000, ("UL", struct.pack("<I", len(group)))) + group


def dicom(
    elements: Mapping[int, Value] | bytes,
    syntax: str = EXPLICIT,
    *,
    preamble: bytes = bytes(128),
    mark: bytes = b"DICM",
) -> bytes:
    """A DICOM file."""
    if isinstance(elements, bytes):
        return preamble + mark + meta(syntax) + elements
    sop_class, instance = (elements.get(t, ("UI", b""))[1].rstrip(b"\0").decode() for t in (0x00080016, 0x00080018))
    explicit = syntax != IMPLICIT
    body = b"".join(element(tag, elements[tag], explicit=explicit) for tag in sorted(elements))
    return preamble + mark + meta(syntax, sop_class, instance) + body


def changed(*gone: int, **new: Value) -> dict[int, Value]:
    """A clean image's elements with some taken away and others, by `x` and their tag in hexadecimal, put in."""
    elements = {tag: value for tag, value in clean().items() if tag not in gone}
    return elements | {int(tag[1:], 16): value for tag, value in new.items()}


def encapsulated(elements: Mapping[int, Value], syntax: str, *fragments: bytes, closed: bool = True) -> bytes:
    """A DICOM file with compressed pixels."""
    head = dicom({tag: value for tag, value in elements.items() if tag != PIXELS}, syntax)
    parts = b"".join(item(fragment) for fragment in (b"", *fragments))
    end = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0) if closed else b""
    return head + header(PIXELS, "OB", UNDEFINED) + parts + end


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    pixels: np.ndarray | None = None,
    *more: bytes,
    size: tuple[int, int] | None = None,
    depth: int | None = None,
    colour: int = 0,
    data: bytes | None = None,
) -> bytes:
    """A PNG file; `more` are chunks in front of the pixels."""
    pixels = image() if pixels is None else pixels
    rows, columns = size or pixels.shape
    depth = depth or 8 * pixels.dtype.itemsize
    lines = b"".join(b"\0" + line.astype(line.dtype.newbyteorder(">")).tobytes() for line in pixels)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, depth, colour, 0, 0, 0))
        + b"".join(more)
        + chunk(b"IDAT", zlib.compress(lines) if data is None else data)
        + chunk(b"IEND", b"")
    )
