"""One line of InfluxDB's line protocol.

Source: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/.
`measurement,tag=value,.. field=value,.. timestamp`; backslashes escape commas, spaces and equals signs.
"""

import math
import re
from dataclasses import dataclass
from typing import Final

# Of a measurement or tag that a backslash escapes; before any other character it is a backslash.
_ESCAPED: Final = re.compile(r"\\([,= \\])")
_IN_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
# A comment; or measurement and tags, a space, and the rest, in which a string may hold line breaks.
_LINE: Final = re.compile(
    r"""[ \t]*+(?:\#[^\n]*+|(?:[^\\ \n]|\\[^\n])*+(?:[ ](?:="(?:[^"\\]|\\.)*+"|[^\n])*+)?+[^\n]*+)(?:\n|$)""", re.DOTALL
)
# Up to a character that ends it, unescaped.
_MEASUREMENT: Final = re.compile(r"(?:[^\\, ]|\\.|\\$)+", re.DOTALL)
_KEY: Final = re.compile(r"(?:[^\\,= ]|\\.|\\$)+", re.DOTALL)
_NUMBER: Final = re.compile(r"[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?", re.ASCII)
_INTEGER: Final = re.compile(r"-?\d+", re.ASCII)
_TRUE: Final = frozenset({"t", "T", "true", "True", "TRUE"})
_FALSE: Final = frozenset({"f", "F", "false", "False", "FALSE"})
_INT64: Final = 1 << 63


class NotALineError(ValueError):
    """The line is malformed; the message says where."""


@dataclass(frozen=True, slots=True)
class Head:
    """What comes before the fields."""

    measurement: str
    tags: list[tuple[str, str]]


def lines_of(text: str) -> list[str]:
    """The lines of a body; a line break within a string ends none."""
    return text.split("\n") if '"' not in text else [line.removesuffix("\n") for line in _LINE.findall(text)]


def split(line: str) -> tuple[str, list[tuple[str, str]], str]:
    """The head, the fields with their values as text, and the timestamp, empty if there is none.

    Raises:
        NotALineError: it has no such parts.
    """
    if "\\" not in line and '"' not in line:
        # str.split is several times as fast as a pattern, and most lines have neither.
        head, _, rest = line.partition(" ")
        fields, _, stamp = rest.strip(" ").partition(" ")
        pairs = [(key, value) for key, _, value in (field.partition("=") for field in fields.split(","))]
        if not head or not all(key and value and "=" not in value for key, value in pairs):
            raise NotALineError("Must be measurement[,tag=value..] field=value[,field=value..] [timestamp].")
        return head, pairs, stamp.lstrip(" ")
    end = _end_of_head(line)
    at = end + len(line[end:]) - len(line[end:].lstrip(" "))
    pairs, at = _fields(line, at)
    return line[:end], pairs, line[at:].strip(" ")


def _end_of_head(line: str) -> int:
    at = 0
    while at < len(line) and line[at] != " ":
        at += 2 if line[at] == "\\" else 1
    if at >= len(line) or not at:
        raise NotALineError("Must have a space between the measurement with its tags and the fields.")
    return at


def _fields(line: str, at: int) -> tuple[list[tuple[str, str]], int]:
    """The fields, and where they end."""
    pairs = []
    while True:
        key = _KEY.match(line, at)
        if key is None or line[key.end() : key.end() + 1] != "=":
            raise NotALineError(f"Must have a field, such as value=1, at character {at + 1}.")
        at = key.end() + 1
        value = _IN_STRING.match(line, at) if line[at : at + 1] == '"' else _KEY.match(line, at)
        if value is None:
            raise NotALineError(f"Must have a field's value at character {at + 1}; a string ends with a quote.")
        pairs.append((unescaped(key[0]), value[0]))
        at = value.end()
        if line[at : at + 1] in {"", " "}:
            return pairs, at
        if line[at] != ",":
            raise NotALineError(f"Must have a comma or a space at character {at + 1}.")
        at += 1


def head_of(text: str) -> Head:
    """The measurement and the tags of a head.

    Raises:
        NotALineError: it has no such parts.
    """
    measurement = _MEASUREMENT.match(text)
    if measurement is None:
        raise NotALineError("Must begin with a measurement.")
    tags = []
    at = measurement.end()
    while at < len(text):
        key = _KEY.match(text, at + 1)
        value = _KEY.match(text, key.end() + 1) if key and text[key.end() : key.end() + 1] == "=" else None
        if text[at] != "," or key is None or value is None:
            raise NotALineError(f"Must have a tag, such as host=a, at character {at + 2}.")
        tags.append((unescaped(key[0]), unescaped(value[0])))
        at = value.end()
    return Head(unescaped(measurement[0]), tags)


def unescaped(text: str) -> str:
    """A measurement, tag or field name without its backslashes."""
    return _ESCAPED.sub(r"\1", text) if "\\" in text else text


def number(text: str) -> float | None:
    """The value of a field: a number, 1 or 0 for a boolean, None for a string.

    Raises:
        NotALineError: it is none of them.
    """
    if _NUMBER.fullmatch(text):
        value = float(text)
        if math.isinf(value):
            raise NotALineError(f"{text[:64]!r} is larger than any float64.")
        return value
    last, digits = text[-1], text[:-1]
    if last == "i" and _INTEGER.fullmatch(digits) and -_INT64 <= int(digits[:20]) < _INT64 and len(digits) <= 20:
        return float(int(digits))
    if last == "u" and digits.isascii() and digits.isdigit() and len(digits) <= 20 and int(digits) < 2 * _INT64:
        return float(int(digits))
    if text in _TRUE:
        return 1.0
    if text in _FALSE:
        return 0.0
    if last == '"' and text[0] == '"' and len(text) > 1:
        return None
    raise NotALineError(
        f"{text[:64]!r} is not a field's value: it must be a number (1, 1.5, 1e9), an integer (1i, 1u), "
        "a boolean (t, f) or a quoted string."
    )
