"""Where numbers and durations end in a text."""

import string
from typing import Final

DIGITS: Final = string.digits
WORD: Final = frozenset(string.ascii_letters + string.digits + "_")
_HEX: Final = "0123456789abcdefABCDEF"


def scan_number(text: str, start: int) -> tuple[int, bool]:
    """Length of the number at `start`, and whether it is one; if not, where the scan stopped."""
    scan = _Scan(text, start)
    valid = scan.run()
    return scan.at - start, valid


class _Scan:
    """Reads one number: digits with at most one dot and one exponent, and underscores between digits."""

    def __init__(self, text: str, start: int) -> None:
        self._text = text
        self._start = start
        self.at = start
        self._digits = DIGITS
        self._dot = False
        self._exponent = False

    def _sees(self, chars: str) -> bool:
        char = self._text[self.at : self.at + 1]
        return char != "" and char in chars

    def _accept(self, chars: str) -> bool:
        seen = self._sees(chars)
        self.at += seen
        return seen

    def run(self) -> bool:
        """Whether what starts here is a number; `at` is behind it, or where the fault is."""
        if self._accept("0") and self._accept("xX"):
            self._accept("_")
            self._digits = _HEX
        self._accept(".")
        self._accept(self._digits)
        while self._sees(self._digits + "._eE"):
            if not self._part():
                return False
        return self.at > self._start and self._text[self.at : self.at + 1] not in WORD

    def _part(self) -> bool:
        """Read a dot, an exponent, an underscore or digits; whether it may be there."""
        if self._accept("."):
            repeated, self._dot = self._dot, True
            return not (repeated or self._accept("_.") or self._digits is _HEX)
        if not self._sees(self._digits) and self._accept("eE"):
            repeated, self._exponent = self._exponent, True
            if repeated:
                return False
            self._accept("+-")
            return self._goes_on()
        if self._accept("_"):
            return self._goes_on()
        while self._accept(self._digits):
            pass
        return True

    def _goes_on(self) -> bool:
        return not self._accept("._eE") and self.at < len(self._text)


def scan_duration_rest(text: str, at: int) -> tuple[int, bool]:
    """The end of a duration whose first digits were read, and whether it is one."""

    def is_in(chars: str) -> bool:
        return text[at : at + 1] != "" and text[at] in chars

    if not is_in("smhdwy"):
        return at, False
    at += 1
    at += is_in("s")
    while is_in(DIGITS):
        while is_in(DIGITS):
            at += 1
        if not is_in("smhdw"):
            return at, False
        at += 1
        at += is_in("s")
    if text[at : at + 1] in WORD:
        return at + 1, False
    return at, True
