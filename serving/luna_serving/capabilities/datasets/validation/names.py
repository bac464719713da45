"""Names: of sets, and of the files in a set. What `POST /upload/start` accepts, and what a validator refuses."""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

SET_NAME: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")
SET_NAME_RULE: Final = "must be 1 to 63 characters of a-z, 0-9 and -, and must not begin with -"
LONGEST_PATH: Final = 255
"""Bytes in UTF-8."""

# Unicode TR9 embeddings, overrides, isolates and marks: a name with them reads differently from what it is.
_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def set_name_fault(name: str) -> str | None:
    """What is wrong with a set's name; None if nothing is."""
    return None if SET_NAME.fullmatch(name) else SET_NAME_RULE


def path_fault(path: str) -> str | None:
    """What is wrong with a file's name in a set, as the end of a sentence that begins with it; None if nothing is."""
    try:
        size = len(path.encode())
    except UnicodeEncodeError:
        return "is not valid Unicode; rename the file"
    if not path:
        return "must not be empty"
    if size > LONGEST_PATH:
        return f"is {size} bytes long; shorten it to {LONGEST_PATH}"
    if unicodedata.normalize("NFC", path) != path:
        return "is not in Unicode normal form C; normalize it with NFC"
    if any(unicodedata.category(c) in {"Cc", "Zl", "Zp"} for c in path):
        return "contains a control character or a line break; remove it"
    if any(c in _BIDI for c in path):
        return "contains a character that changes the direction of text; remove it"
    if "\\" in path:
        return "contains a backslash; separate folders with /"
    parts = path.split("/")
    if parts[0] == "" or re.match(r"[A-Za-z]:", path):
        return "is absolute; give it relative to the set's folder"
    if any(part in {"", ".", ".."} for part in parts):
        return "has an empty part, `.` or `..`; give the plain path below the set's folder"
    return None


def clashes(paths: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of names that are the same where letter case does not count: the first, and each further one."""
    first: dict[str, str] = {}
    for path in paths:
        folded = unicodedata.normalize("NFC", path.casefold())
        if folded in first:
            yield first[folded], path
        else:
            first[folded] = path
