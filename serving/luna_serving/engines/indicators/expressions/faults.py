"""What is wrong with an expression, where, and what to write instead."""

from dataclasses import dataclass
from enum import StrEnum


class Reason(StrEnum):
    """Classes of faults, for programs; people read the message and the cure."""

    CHARACTER = "character"
    """A character that no expression contains."""
    SYNTAX = "syntax"
    """Tokens in an order that the grammar does not have."""
    NAME = "name"
    """Not a column, function or indicator, or not an output of the indicator."""
    KIND = "kind"
    """A condition where a number is needed, a number where a series is needed, and so on."""
    ARGUMENT = "argument"
    """An argument is missing, unknown, not literal, or out of range."""
    LIMIT = "limit"
    """Too long, too deep, too many parts, too costly, or too far back."""


@dataclass(frozen=True, slots=True)
class Span:
    """A place in the text. Unit: Unicode code points."""

    offset: int
    """Of the first character, from 0. The end of the text has its length as offset."""
    length: int

    @property
    def end(self) -> int:
        """The offset just after the last character."""
        return self.offset + self.length

    def to(self, last: "Span") -> "Span":
        """From the start of this span to the end of a later one."""
        return Span(self.offset, last.end - self.offset)


class Fault(Exception):
    """The text is no expression. Nothing else is raised by `parse`."""

    def __init__(self, reason: Reason, span: Span, message: str, cure: str) -> None:
        super().__init__(f"{message} {cure} (Character {span.offset + 1}.)")
        self.reason = reason
        self.span = span
        self.message = message
        """One sentence: what is wrong. Quotes at most a short ASCII excerpt of the text."""
        self.cure = cure
        """One or two sentences: what to write instead."""

    @property
    def offset(self) -> int:
        """Where the fault is, from 0, in Unicode code points."""
        return self.span.offset

    @property
    def length(self) -> int:
        """How many code points are at fault; 0 where something is missing."""
        return self.span.length
