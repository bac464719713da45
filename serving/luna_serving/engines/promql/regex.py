"""Regular expressions of matchers and label_replace: RE2, so that no expression takes more than linear time."""

import functools
import re
from collections.abc import Mapping, Sequence
from typing import Final

import re2

#: Larger expressions are refused, in bytes of RE2's program.
_MEMORY: Final = 1 << 20
_REMEMBERED: Final = 4_096
_REFERENCE: Final = re.compile(r"\$(?:\$|(\w+)|\{(\w+)\})", re.ASCII)
#: `\C`, one byte, which Go does not have: it would split characters.
_BYTE: Final = re.compile(r"(?<!\\)(?:\\\\)*\\C")
#: RE2's words and Go's.
_MESSAGES: Final = (
    ("missing )", "missing closing )"),
    ("missing ]", "missing closing ]"),
    ("no argument for repetition operator", "missing argument to repetition operator"),
    ("bad repetition operator", "invalid nested repetition operator"),
    ("invalid repetition size", "invalid repeat count"),
    ("invalid perl operator", "invalid or unsupported Perl syntax"),
    ("invalid named capture group", "invalid named capture"),
    ("trailing \\", "trailing backslash at end of expression"),
)


class TooLongError(ValueError):
    """A text would be longer than what may be made."""


class RegexError(ValueError):
    """Not a regular expression of RE2; the message is Go's."""


class Pattern:
    """A compiled expression. `.` matches a newline, as in Prometheus.

    Attributes:
        names: numbers of the named groups.
    """

    def __init__(self, pattern: str) -> None:
        if _BYTE.search(pattern):
            raise RegexError("invalid escape sequence: `\\C`")
        options = re2.Options()
        options.log_errors = False
        options.dot_nl = True
        options.max_mem = _MEMORY
        try:
            self._compiled = re2.compile(pattern, options)
        except re2.error as wrong:
            raise RegexError(_message(wrong)) from None
        self.names: Mapping[str, int] = dict(self._compiled.groupindex)
        self._known: dict[str, bool] = {}

    def matches(self, text: str) -> bool:
        """Whether the whole text matches. Recent answers are remembered: label values recur."""
        known = self._known.get(text)
        if known is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[text] = self._compiled.fullmatch(text) is not None
        return known

    def groups(self, text: str) -> Sequence[str | None] | None:
        """The text and its groups if the whole text matches."""
        found = self._compiled.fullmatch(text)
        return None if found is None else (found.group(0), *found.groups())


def _message(wrong: Exception) -> str:
    text = wrong.args[0].decode() if isinstance(wrong.args[0], bytes) else str(wrong.args[0])
    for ours, go in _MESSAGES:
        if text.startswith(ours):
            text = go + text[len(ours) :]
            break
    what, _, argument = text.partition(": ")
    return f"{what}: `{argument}`"


def expand(template: str, groups: Sequence[str | None], names: Mapping[str, int], most: int) -> str:
    """A template with `$1`, `${1}`, `$name` and `${name}` replaced, `$$` for a dollar sign, as Go expands it.

    Args:
        template: with references.
        groups: of a match, the whole match first.
        names: numbers of the named groups.
        most: characters of the template and of the values together.

    Raises:
        TooLongError: it has more.
    """
    left = most - len(template)
    if left < 0:
        raise TooLongError

    def replacement(found: re.Match[str]) -> str:
        name = found.group(1) or found.group(2)
        if name is None:
            return "$"
        number = int(name) if name.isdigit() else names.get(name, len(groups))
        text = (groups[number] or "") if number < len(groups) else ""
        nonlocal left
        left -= len(text)
        if left < 0:
            raise TooLongError
        return text

    return _REFERENCE.sub(replacement, template)


@functools.lru_cache(maxsize=1024)
def compiled(pattern: str) -> Pattern:
    """The compiled expression; recent ones are kept.

    Raises:
        RegexError: what does not parse.
    """
    return Pattern(pattern)
