"""Broken images: each with the rule that it breaks and, in DICOM, the tag."""

import struct
import zlib
from collections.abc import Callable

import numpy as np
from tests.capabilities.datasets.validation.xray import making
from tests.capabilities.datasets.validation.xray.making import changed, chunk, dicom, element, item, png, text, us

Broken = tuple[Callable[[], bytes], str, str | None]


def whole() -> bytes:
    return dicom(making.clean())


def before(tag: int) -> int:
    """Where an element of the whole file begins."""
    return whole().index(struct.pack("<HH", tag >> 16, tag & 0xFFFF), 132)


def nested(depth: int) -> bytes:
    inner = element(0x00080100, text("SH", "1"))
    for _ in range(depth):
        inner = element(0x0040A730, ("SQ", item(inner)))
    elements = making.clean()
    body = b"".join(element(tag, elements[tag]) for tag in sorted(elements) if tag < 0x00400000)
    return dicom(body + inner + element(making.PIXELS, elements[making.PIXELS]))


def in_order(*tags: int) -> bytes:
    """The clean image's elements in this order, then the others."""
    elements = making.clean()
    rest = [tag for tag in sorted(elements) if tag not in tags]
    return dicom(b"".join(element(tag, elements[tag]) for tag in (*tags, *rest)))


def j2k(rows: int, columns: int, tile: int | None = None) -> bytes:
    """The head of a JPEG 2000 codestream that announces a size, and no more."""
    size = struct.pack(">HIIIIIIIIH", 0, columns, rows, 0, 0, tile or columns, tile or rows, 0, 0, 1)
    siz = size + bytes([11, 1, 1])
    return b"\xff\x4f\xff\x51" + struct.pack(">H", len(siz) + 2) + siz + b"\xff\xd9"


def jpeg(rows: int, columns: int, samples: int = 1, bits: int = 8) -> bytes:
    frame = struct.pack(">BHHB", bits, rows, columns, samples) + bytes([1, 0x11, 0]) * samples
    return b"\xff\xd8\xff\xc3" + struct.pack(">H", len(frame) + 2) + frame + b"\xff\xd9"


def deflated() -> bytes:
    """68 MB of zeros in 66 kB."""
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = element(0x00080016, text("UI", making.CR)) + making.header(making.PIXELS, "OW", 1 << 26)
    packed = squeeze.compress(body) + b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(64)) + squeeze.flush()
    return dicom(packed, making.DEFLATED)


def compressed(syntax: str, *fragments: bytes, closed: bool = True) -> bytes:
    return making.encapsulated(making.clean(), syntax, *fragments, closed=closed)


def implicit_called_explicit() -> bytes:
    head = len(making.meta(making.IMPLICIT))
    return whole()[:132] + making.meta(making.EXPLICIT) + dicom(making.clean(), making.IMPLICIT)[132 + head :]


def flat(value: int) -> dict[int, making.Value]:
    return making.clean(np.full((64, 64), value, np.uint16))


def rle(*segments: int, size: int = 200) -> bytes:
    return struct.pack("<16I", len(segments), *segments, *[0] * (15 - len(segments))) + bytes(size)


def rle_past_the_end() -> bytes:
    """Segments of 33 runs of 128 bytes where 32 fill the image: the decoder, in Rust, panics."""
    segment = bytes([129, 7]) * 33
    return compressed(making.RLE, struct.pack("<16I", 2, 64, 64 + len(segment), *[0] * 13) + segment + segment)


BROKEN: dict[str, Broken] = {
    # Files.
    "empty": (lambda: b"", "DCM005", None),
    "a JPEG": (lambda: b"\xff\xd8\xff\xe0" + bytes(400), "DCM001", None),
    "a ZIP archive": (lambda: b"PK\3\4" + bytes(400), "DCM001", None),
    "noise": (lambda: np.random.default_rng(1).bytes(5_000), "DCM002", None),
    "no mark": (lambda: dicom(making.clean(), mark=b"MCID"), "DCM002", None),
    "a program as preamble": (lambda: dicom(making.clean(), preamble=b"MZ" + bytes(126)), "DCM003", None),
    "mark and nothing": (lambda: bytes(128) + b"DICM", "DCM006", "(0002,0010)"),
    "noise after the mark": (lambda: bytes(128) + b"DICM" + b"\xab" * 999, "DCM006", "(0002,0010)"),
    "meta group of a wrong length": (
        lambda: whole().replace(struct.pack("<HH2sH", 2, 0, b"UL", 4), struct.pack("<HH2sH", 2, 0, b"UL", 4), 1)[:140]
        + struct.pack("<I", 7)
        + whole()[144:],
        "DCM006",
        "(0002,0000)",
    ),
    "two SOP classes": (
        lambda: whole()[:132] + making.meta(making.EXPLICIT, making.DX) + whole()[before(0x00080008) :],
        "DCM006",
        "(0002,0002)",
    ),
    "deflated bomb": (deflated, "DCM008", "(0002,0010)"),
    "video": (lambda: dicom(making.clean(), "1.2.840.10008.1.2.4.102"), "DCM007", "(0002,0010)"),
    "unknown transfer syntax": (lambda: dicom(making.clean(), "1.2.3.4"), "DCM007", "(0002,0010)"),
    "implicit called explicit": (implicit_called_explicit, "DCM010", None),
    # Elements.
    "cut in the pixels": (lambda: whole()[:-1000], "DCM005", "(7FE0,0010)"),
    "cut in an element's head": (lambda: whole()[: before(0x00280010) + 5], "DCM005", None),
    "cut in a value": (lambda: whole()[: before(0x00080018) + 12], "DCM005", "(0008,0018)"),
    "cut in a sequence": (lambda: whole()[: before(0x00120064) + 20], "DCM005", "(0012,0064)"),
    "a length past the end": (
        lambda: whole().replace(struct.pack("<HH2sH", 8, 0x60, b"CS", 2), struct.pack("<HH2sH", 8, 0x60, b"CS", 65534)),
        "DCM005",
        "(0008,0060)",
    ),
    "unknown VR": (lambda: whole().replace(b"\x08\0\x60\0CS", b"\x08\0\x60\0ZZ"), "DCM010", "(0008,0060)"),
    "text without a length": (
        lambda: dicom(element(0x00080016, text("UI", making.CR)) + making.header(0x00081030, "UT", making.UNDEFINED)),
        "DCM011",
        "(0008,1030)",
    ),
    "sequence of no items": (
        lambda: dicom(changed(x00120064=("SQ", element(0x00080100, text("SH", "113100"))))),
        "DCM011",
        "(0012,0064)",
    ),
    "sequences 40 deep": (lambda: nested(40), "DCM012", "(0040,A730)"),
    "sequences 3,000 deep": (lambda: nested(3_000), "DCM012", "(0040,A730)"),
    "too many elements": (
        lambda: dicom(b"".join(element(0x00080000 + i, text("LO", "x")) for i in range(1, 30_000))),
        "DCM013",
        None,
    ),
    "too many items": (lambda: dicom(changed(x00120064=("SQ", item() * 30_000))), "DCM013", None),
    "an element twice": (lambda: in_order(0x00080008, 0x00080008), "DCM014", "(0008,0008)"),
    "a command in the file": (
        lambda: whole()[: before(0x00080008)] + element(0x00000100, us(1)) + whole()[before(0x00080008) :],
        "DCM011",
        "(0000,0100)",
    ),
    "no UID": (lambda: dicom(changed(x0020000D=text("UI", "1.02.x"))), "DCM034", "(0020,000D)"),
    # The image.
    "a CT image": (lambda: dicom(changed(x00080016=text("UI", making.CT))), "DCM018", "(0008,0016)"),
    "modality MR": (lambda: dicom(changed(x00080060=text("CS", "MR"))), "DCM020", "(0008,0060)"),
    "no SOP Instance UID": (lambda: dicom(changed(0x00080018)), "DCM021", "(0008,0018)"),
    "no rows": (lambda: dicom(changed(0x00280010)), "DCM021", "(0028,0010)"),
    "rows as text": (lambda: dicom(changed(x00280010=text("CS", "64"))), "DCM023", "(0028,0010)"),
    "no pixels": (lambda: dicom(changed(making.PIXELS)), "DCM021", "(7FE0,0010)"),
    "colour": (lambda: dicom(changed(x00280004=text("CS", "RGB"), x00280002=us(3))), "DCM026", "(0028,0002)"),
    "a palette": (lambda: dicom(changed(x00280004=text("CS", "PALETTE COLOR"))), "DCM024", "(0028,0004)"),
    "12 bits allocated": (lambda: dicom(changed(x00280100=us(12))), "DCM027", "(0028,0100)"),
    "more bits stored than allocated": (lambda: dicom(changed(x00280101=us(24))), "DCM027", "(0028,0101)"),
    "wrong high bit": (lambda: dicom(changed(x00280102=us(15))), "DCM027", "(0028,0102)"),
    "two frames": (lambda: dicom(changed(x00280008=text("IS", "2"))), "DCM029", "(0028,0008)"),
    "65,535 x 65,535": (lambda: dicom(changed(x00280010=us(65535), x00280011=us(65535))), "DCM030", "(0028,0010)"),
    "one row": (lambda: dicom(changed(x00280010=us(1))), "DCM031", "(0028,0010)"),
    "slope zero": (lambda: dicom(changed(x00281053=text("DS", "0"))), "DCM032", "(0028,1053)"),
    "slope of letters": (lambda: dicom(changed(x00281053=text("DS", "abc"))), "DCM023", "(0028,1053)"),
    # Pixels.
    "lying rows": (lambda: dicom(changed(x00280010=us(80))), "PIX002", "(7FE0,0010)"),
    "fragments, though not compressed": (
        lambda: making.encapsulated(making.clean(), making.EXPLICIT, bytes(8192)), "PIX002", "(7FE0,0010)"
    ),
    "no fragments, though compressed": (lambda: dicom(making.clean(), making.JPEG_2000), "PIX002", "(7FE0,0010)"),
    "empty fragment": (lambda: compressed(making.JPEG_2000, b""), "PIX002", "(7FE0,0010)"),
    "fragments not closed": (lambda: compressed(making.RLE, rle(64), closed=False), "DCM005", "(7FE0,0010)"),
    "huge JPEG 2000": (lambda: compressed(making.JPEG_2000, j2k(60_000, 60_000)), "PIX004", "(7FE0,0010)"),
    "JPEG 2000 of many tiles": (lambda: compressed(making.JPEG_2000, j2k(64, 64, 1)), "PIX001", "(7FE0,0010)"),
    "JPEG 2000 of noise": (lambda: compressed(making.JPEG_2000, b"\x12" * 500), "PIX004", "(7FE0,0010)"),
    "JPEG 2000 with no data": (lambda: compressed(making.JPEG_2000, j2k(64, 64)), "PIX001", "(7FE0,0010)"),
    "JPEG of another size": (lambda: compressed(making.JPEG_LOSSLESS, jpeg(6400, 6400)), "PIX004", "(7FE0,0010)"),
    "JPEG in colour": (lambda: compressed(making.JPEG_LOSSLESS, jpeg(64, 64, 3)), "PIX004", "(7FE0,0010)"),
    "JPEG with no data": (lambda: compressed(making.JPEG_LOSSLESS, jpeg(64, 64, bits=12)), "PIX001", "(7FE0,0010)"),
    "JPEG-LS of noise": (lambda: compressed(making.JPEG_LS, b"\xff\xd8" + b"\x55" * 500), "PIX004", "(7FE0,0010)"),
    "RLE of 15 segments": (lambda: compressed(making.RLE, rle(*range(64, 79))), "PIX004", "(7FE0,0010)"),
    "RLE out of its bytes": (lambda: compressed(making.RLE, rle(64, 9_999)), "PIX004", "(7FE0,0010)"),
    "RLE of too few bytes": (lambda: compressed(making.RLE, rle(64, 128)), "PIX001", "(7FE0,0010)"),
    "RLE that runs past the end": (rle_past_the_end, "PIX001", "(7FE0,0010)"),
    "constant": (lambda: dicom(flat(700)), "PIX005", "(7FE0,0010)"),
    "beyond the bits stored": (lambda: dicom(making.clean(making.image(bits=16))), "PIX007", "(7FE0,0010)"),
    # PNG.
    "PNG cut off": (lambda: png()[:-30], "DCM035", None),
    "PNG of its mark": (lambda: png()[:8], "DCM035", None),
    "PNG with a changed byte": (lambda: png()[:100] + b"\0\1\2" + png()[103:], "DCM035", None),
    "PNG without IDAT": (lambda: png()[:33] + chunk(b"IEND", b""), "DCM035", None),
    "PNG bomb": (lambda: png(size=(60_000, 60_000), data=zlib.compress(bytes(1 << 24))), "DCM030", None),
    "PNG with lying rows": (lambda: png(size=(200, 64)), "PIX001", None),
    "PNG in colour": (lambda: png(colour=2), "DCM037", None),
    "PNG of 1 bit": (lambda: png(depth=1), "DCM038", None),
    "animated PNG": (lambda: png(None, chunk(b"acTL", struct.pack(">II", 2, 0))), "DCM039", None),
    "PNG with text": (lambda: png(None, chunk(b"tEXt", b"Title\0Doe^Jane")), "PHI018", None),
    "PNG with an unknown chunk": (lambda: png(None, chunk(b"phIs", b"Doe^Jane")), "PHI018", None),
}  # fmt: skip
