"""Findings of one file, and the only form in which its values may be mentioned."""

import hashlib
from typing import Any, Final

from luna_serving.capabilities.datasets.validation.findings import Findings, Rule, of

# Enough to tell a set's patients apart; too few to serve as an identifier elsewhere.
DIGEST_BYTES: Final = 8
MAX_KEY_BYTES: Final = 64


def digest(value: bytes, salt: bytes) -> str:
    """Keyed hash of a value that must not be shown.

    Equal values of one set have equal hashes. The salt belongs to the set: hashes of two sets cannot be linked, and a
    short value cannot be guessed from its hash without the salt.
    """
    return hashlib.blake2b(value, digest_size=DIGEST_BYTES, key=salt[:MAX_KEY_BYTES]).hexdigest()


def shown(tag: int) -> str:
    """A tag as `(gggg,eeee)`."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


class Report:
    """Adds findings of one file to those of the set."""

    def __init__(self, name: str, findings: Findings, salt: bytes) -> None:
        """Report on a file.

        Args:
            name: the file's name in the set.
            findings: where findings go.
            salt: the set's secret for hashes.
        """
        self.name = name
        self.salt = salt
        self.errors = 0
        self._findings = findings

    def add(self, rule: Rule, message: str, *, tag: int | None = None, **place: Any) -> None:  # noqa: ANN401  as `of`
        """Add a finding about this file."""
        self.errors += rule.severity == "error"
        self._findings.add(of(rule, message, path=self.name, tag=None if tag is None else shown(tag), **place))


class Unreadable(Exception):
    """The file cannot be read further; carries the finding that says why."""

    def __init__(self, rule: Rule, message: str, tag: int | None = None) -> None:
        """End the validation of this file with a finding."""
        super().__init__(rule.id)
        self.rule = rule
        self.message = message
        self.tag = tag
