"""Regular expressions of templates: RE2, so that none takes more than linear time."""

import re
from functools import lru_cache
from typing import Any, Final

import re2

# Larger expressions are refused, in bytes of RE2's program.
MEMORY: Final = 1 << 20
# Characters of a text that is made here; calls within calls would multiply it with each level otherwise.
MOST_TEXT: Final = 65_536
_REFERENCE: Final = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})", re.ASCII)


class TextTooLong(ValueError):
    """A text would be longer than what a template may make."""


class PatternWrong(ValueError):
    """Not a regular expression of RE2."""


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:  # noqa: ANN401  re2 has no types
    """A compiled expression.

    Raises:
        PatternWrong: it does not parse.
    """
    options = re2.Options()
    options.log_errors = False
    options.max_mem = MEMORY
    try:
        return re2.compile(pattern, options)
    except re2.error as e:
        raise PatternWrong(f"{pattern!r} is not a regular expression") from e


def replaced(pattern: str, replacement: str, text: str) -> str:
    """Go's `ReplaceAllString`: `$1`, `${1}` and `$name` are groups, `$$` is a dollar sign.

    Raises:
        PatternWrong: the pattern does not parse.
        TextTooLong: the result has more than `MOST_TEXT` characters.
    """
    expression = compiled(pattern)
    names = dict(expression.groupindex)
    parts: list[str] = []
    end = 0
    left = MOST_TEXT - len(text)
    for found in expression.finditer(text):
        groups = (found.group(0), *found.groups())
        parts += [text[end : found.start()], _expanded(replacement, groups, names, left)]
        left -= len(parts[-1])
        if left < 0:
            raise TextTooLong
        end = found.end()
    return "".join([*parts, text[end:]])


def found_in(pattern: str, text: str) -> bool:
    """Go's `MatchString`: whether some part of the text matches."""
    return compiled(pattern).search(text) is not None


def _expanded(template: str, groups: tuple[str | None, ...], names: dict[str, int], left: int) -> str:
    def expand(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name is None:
            return "$"
        number = int(name) if name.isdigit() else names.get(name, len(groups))
        text = (groups[number] or "") if number < len(groups) else ""
        nonlocal left
        left -= len(text)
        if left < 0:
            raise TextTooLong
        return text

    return _REFERENCE.sub(expand, template)
