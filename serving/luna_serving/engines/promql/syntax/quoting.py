"""String literals: quotes and escapes, as Go has them."""

from typing import Final

_SIMPLE: Final = {"a": 7, "b": 8, "f": 12, "n": 10, "r": 13, "t": 9, "v": 11, "\\": 92}
_HEX_DIGITS: Final = {"x": 2, "u": 4, "U": 8}
_LARGEST_BYTE: Final = 255


def unquote(literal: str) -> str:
    r"""The text of a literal with its quotes.

    `\xff` and octal escapes are bytes, which must form UTF-8 together.

    Raises:
        ValueError: an escape that Go does not have, or bytes that are not UTF-8.
    """
    quote, body = literal[0], literal[1:-1]
    if quote == "`" or "\\" not in body:
        return body
    out = bytearray()
    at = 0
    while at < len(body):
        if body[at] != "\\":
            out += body[at].encode()
            at += 1
            continue
        at = _escape(body, at + 1, quote, out)
    return out.decode()


def _escape(body: str, at: int, quote: str, out: bytearray) -> int:
    """Append what the escape sequence at `at` (after the backslash) means; the offset after it."""
    letter = body[at : at + 1]
    if letter in _SIMPLE and letter:
        out.append(_SIMPLE[letter])
        return at + 1
    if letter == quote:
        out += quote.encode()
        return at + 1
    if letter in _HEX_DIGITS and letter:
        count = _HEX_DIGITS[letter]
        digits = body[at + 1 : at + 1 + count]
        if len(digits) < count:
            raise ValueError("invalid syntax")
        value = int(digits, 16)
        out += bytes([value]) if letter == "x" else chr(value).encode()
        return at + 1 + count
    digits = body[at : at + 3]
    value = int(digits, 8) if len(digits) == 3 else _LARGEST_BYTE + 1
    if value > _LARGEST_BYTE:
        raise ValueError("invalid syntax")
    out.append(value)
    return at + 3
