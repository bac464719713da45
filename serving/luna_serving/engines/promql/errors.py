"""What can be wrong with a query, with the place in its text."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the text of a query.

    Attributes:
        offset: characters before it, from 0.
        line: from 1.
        column: from 1, in characters.
    """

    offset: int
    line: int
    column: int

    @classmethod
    def of(cls, text: str, offset: int) -> "Position":
        """The line and column of the character at `offset`."""
        offset = min(max(offset, 0), len(text))
        line_start = text.rfind("\n", 0, offset) + 1
        return cls(offset, text.count("\n", 0, offset) + 1, offset - line_start + 1)

    def __str__(self) -> str:
        return f"{self.line}:{self.column}"


class PromqlError(Exception):
    """A query that cannot be answered.

    Attributes:
        message: as Prometheus words it, without a position.
        position: where in the query, if one place is at fault.
    """

    def __init__(self, message: str, position: Position | None = None) -> None:
        self.message = message
        self.position = position
        super().__init__(message)


class ParseError(PromqlError):
    """The text is not PromQL, or its types do not fit (Prometheus: `bad_data`)."""

    def __str__(self) -> str:
        return f"{self.position}: parse error: {self.message}" if self.position else f"parse error: {self.message}"


class UnsupportedError(ParseError):
    """Valid PromQL that this engine refuses: experimental functions and modifiers."""


class EvaluationError(PromqlError):
    """The samples do not allow an answer (Prometheus: `execution`), as many-to-many matching."""


class LimitExceeded(PromqlError):
    """A query that is too large.

    Attributes:
        limit: the name of the field of `Limits` or `ParseLimits`.
        allowed: its value.
    """

    def __init__(self, message: str, limit: str, allowed: int, position: Position | None = None) -> None:
        self.limit = limit
        self.allowed = allowed
        super().__init__(message, position)
