"""Recognises the encoding of a body that is not UTF-8 from its first bytes."""

from codecs import BOM_UTF16_BE, BOM_UTF16_LE, BOM_UTF32_BE, BOM_UTF32_LE

# A JSON text begins with an ASCII character: without a mark, the zeros around it show the encoding (RFC 4627,
# section 3).
# The longer marks come first: UTF-32's little-endian mark begins with UTF-16's.
_UNICODE = (
    (BOM_UTF32_LE, "UTF-32"),
    (BOM_UTF32_BE, "UTF-32"),
    (BOM_UTF16_LE, "UTF-16"),
    (BOM_UTF16_BE, "UTF-16"),
)
_COMPRESSED = ((b"\x1f\x8b", "gzip"), (b"\x28\xb5\x2f\xfd", "zstd"))


def misencoded(body: bytes) -> str | None:
    """What is wrong with a body's encoding, and the cure; None for UTF-8.

    Reads the whole body: call it only for bodies that are not valid JSON.
    """
    for mark, coding in _COMPRESSED:
        if body.startswith(mark):
            return (
                f"Is compressed ({coding}) and does not say so. Send Content-Encoding: {coding}, or do not compress it."
            )
    name = _wide(body)
    if name is not None:
        return f"Is {name}, not UTF-8. Encode it as UTF-8 without a byte order mark (RFC 8259, section 8.1)."
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as e:
        return (
            f"Is not UTF-8: byte {e.start} (0x{body[e.start]:02x}) begins no character. Encode it as UTF-8 (RFC 8259, "
            "section 8.1)."
        )
    return None


def _wide(body: bytes) -> str | None:
    for mark, name in _UNICODE:
        if body.startswith(mark):
            return name
    zeros = tuple(byte == 0 for byte in body[:4])
    if zeros in {(True, True, True, False), (False, True, True, True)}:
        return "UTF-32"
    return "UTF-16" if zeros[:2] in {(True, False), (False, True)} else None
