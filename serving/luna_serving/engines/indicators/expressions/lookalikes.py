# ruff: noqa: RUF001
# Ambiguous characters are what this table is about.
"""Characters that look like ones of the grammar, or like nothing at all."""

import unicodedata
from types import MappingProxyType

_TABLE = MappingProxyType(
    {
        # Cyrillic
        "а": "a", "с": "c", "ԁ": "d", "е": "e", "һ": "h", "і": "i", "ј": "j", "ӏ": "l", "о": "o", "р": "p", "ԛ": "q",
        "ѕ": "s", "ԝ": "w", "х": "x", "у": "y", "ѵ": "v",
        # Greek
        "α": "a", "ε": "e", "ι": "i", "κ": "k", "ο": "o", "ρ": "p", "ν": "v", "υ": "u", "χ": "x", "γ": "y",
        # Other letters
        "ı": "i", "ɡ": "g", "ʟ": "l", "օ": "o", "ո": "n", "հ": "h",
        # Operators and punctuation
        "×": "*", "∗": "*", "⋅": "*", "·": "*", "•": "*", "÷": "/", "∕": "/", "⁄": "/", "−": "-", "‐": "-",
        "‑": "-", "‒": "-", "–": "-", "—": "-", "﹣": "-", "≤": "<=", "≥": ">=", "≠": "!=", "⩽": "<=", "⩾": ">=",
        "‹": "<", "›": ">", "＝": "=", "٫": ".", "。": ".", "‚": ",", "،": ",", "、": ",", "¬": "not", "∧": "and",
        "∨": "or",
    }
)  # fmt: skip


def described(character: str) -> str:
    """The character's code point and Unicode name, in ASCII: `U+0441 CYRILLIC SMALL LETTER ES`."""
    name = unicodedata.name(character, "") or _CATEGORIES.get(unicodedata.category(character), "unnamed character")
    return f"U+{ord(character):04X} {name}"


def meant(character: str) -> str | None:
    """What was probably meant, in ASCII; None if the character resembles nothing that an expression contains."""
    if character in _TABLE:
        return _TABLE[character]
    if ord(character) < 128 or unicodedata.category(character) == "Cs":
        return None
    folded = unicodedata.normalize("NFKC", character)
    if len(folded) > 1:
        return folded if folded.isascii() else None
    # Accents are dropped: a letter with one resembles the letter.
    base = unicodedata.normalize("NFD", folded)[0]
    if base in _TABLE:
        return _TABLE[base]
    return base if base.isascii() and (base.isalnum() or base in "+-*/<>=!(),._ ") else None


def invisible(character: str) -> bool:
    """Whether it draws nothing: control and format characters, among them marks that reverse the reading direction."""
    return unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp"}


_CATEGORIES = MappingProxyType(
    {"Cc": "control character", "Cs": "lone surrogate", "Co": "private use", "Cn": "unassigned"}
)
