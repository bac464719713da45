"""Conditional requests (RFC 9110, section 13.1) on documents whose entity tag names a revision."""

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError

Revision = TypeVar("Revision", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Conditions(Generic[Revision]):
    """The conditions of a write; by default none."""

    exists: bool | None = None
    revisions: frozenset[Revision] | None = None
    """One of these must be the current one."""

    def met_by(self, current: Revision | None) -> bool:
        """Whether a document of this revision (None: there is none) meets the conditions."""
        if self.revisions is not None and current not in self.revisions:
            return False
        return self.exists is None or self.exists is (current is not None)


class EntityTags(Generic[Revision]):
    """The entity tags of one kind of document: strong, because a revision always means the same document."""

    def __init__(
        self, pattern: str, read: Callable[[str], Revision], written: Callable[[Revision], str], *, what: str
    ) -> None:
        """Say how tags look.

        Args:
            pattern: a regular expression of a revision between the quotes.
            read: a revision from a text that the pattern matches.
            written: the text of a revision.
            what: the document with its article, for errors: `a model`.
        """
        self._tag = re.compile(rf'\s*(W/)?"({pattern})"\s*')
        self._read = read
        self._written = written
        self._what = what

    def of(self, revision: Revision) -> str:
        """A revision as an entity tag."""
        return f'"{self._written(revision)}"'

    def named(self, tags: str, *, weak: bool) -> frozenset[Revision]:
        """The revisions among entity tags; `weak` tags count if the comparison may be weak."""
        found = (self._tag.fullmatch(tag) for tag in tags.split(","))
        return frozenset(self._read(m[2]) for m in found if m and (weak or not m[1]))

    def conditions(self, if_match: Sequence[str] | None, if_none_match: Sequence[str] | None) -> Conditions[Revision]:
        """Read the conditions of a PUT or a DELETE.

        An empty If-Match names no revision, so it never holds: a script whose variable is empty deletes nothing.

        Raises:
            Problem: 422, a condition that is not supported.
        """
        match, none_match = ",".join(if_match or ()), ",".join(if_none_match or ())
        if if_none_match is not None and none_match.strip() != "*":
            wrong = (
                f"Takes only * here: to put {self._what} unless there is one. To change one that was read, send "
                "If-Match."
            )
            raise problems.invalid(FieldError("/header/if-none-match", wrong))
        exists = False if if_none_match is not None else (True if match.strip() == "*" else None)
        named = self.named(match, weak=False) if if_match is not None and exists is None else None
        return Conditions(exists, named)
