"""The syntax tree: what was written, before anybody asks whether the names exist."""

from dataclasses import dataclass

from .faults import Span


@dataclass(frozen=True, slots=True)
class Number:
    """A literal: digits as written, so that an integer can be told from a number."""

    text: str
    span: Span
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Name:
    """A column, or what somebody takes for one."""

    text: str
    span: Span
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Unary:
    """`-x` or `not x`."""

    operator: str
    operand: "Syntax"
    span: Span
    depth: int


@dataclass(frozen=True, slots=True)
class Binary:
    """`x + y`, `x < y`, `x and y`."""

    operator: str
    left: "Syntax"
    right: "Syntax"
    operator_span: Span
    depth: int

    @property
    def span(self) -> Span:
        """From the left operand to the right one."""
        return self.left.span.to(self.right.span)


@dataclass(frozen=True, slots=True)
class Argument:
    """`x` or `name=x` in a call."""

    name: Name | None
    value: "Syntax"

    @property
    def span(self) -> Span:
        """With the name, if there is one."""
        return self.value.span if self.name is None else self.name.span.to(self.value.span)


@dataclass(frozen=True, slots=True)
class Call:
    """`name(arguments)`."""

    name: Name
    arguments: tuple[Argument, ...]
    span: Span
    depth: int


@dataclass(frozen=True, slots=True)
class Member:
    """`call(...).name`: one output of an indicator."""

    of: "Syntax"
    name: Name
    depth: int

    @property
    def span(self) -> Span:
        """With the call."""
        return self.of.span.to(self.name.span)


@dataclass(frozen=True, slots=True)
class Group:
    """`(x)`: kept, because the place of a fault includes the parentheses."""

    inner: "Syntax"
    span: Span
    depth: int


Syntax = Number | Name | Unary | Binary | Call | Member | Group
