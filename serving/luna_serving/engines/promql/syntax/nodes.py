"""The syntax tree. Each node has the offsets of its first character and after its last one."""

import enum
from dataclasses import dataclass

from luna_serving.engines.promql.matchers import Matcher
from luna_serving.engines.promql.syntax.signatures import Signature, Type


class AtKind(enum.Enum):
    """What an @ modifier refers to."""

    TIME = "time"
    START = "start"
    END = "end"


@dataclass(frozen=True, slots=True)
class At:
    """An @ modifier.

    Attributes:
        kind: a time, or the start or the end of the query's range.
        ms: the time, in milliseconds since 1970, if `kind` is `TIME`.
    """

    kind: AtKind
    ms: int = 0


@dataclass(frozen=True, slots=True)
class Number:
    """A number or a duration in seconds."""

    value: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Text:
    """A string literal."""

    value: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class VectorSelector:
    """An instant vector selector. `name` is what stands before the braces; `matchers` include it."""

    name: str
    matchers: tuple[Matcher, ...]
    start: int
    end: int
    offset_ms: int | None = None
    at: At | None = None


@dataclass(frozen=True, slots=True)
class MatrixSelector:
    """A range vector selector."""

    selector: VectorSelector
    range_ms: int
    #: The range in seconds as written: `rate` divides by it.
    range_s: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Subquery:
    """A subquery. Without a step, the default of one minute applies."""

    expression: "Node"
    range_ms: int
    range_s: float
    step_ms: int | None
    start: int
    end: int
    offset_ms: int | None = None
    at: At | None = None


@dataclass(frozen=True, slots=True)
class Paren:
    """An expression in parentheses."""

    expression: "Node"
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Unary:
    """Plus or minus before an expression that is not a literal."""

    operator: str
    expression: "Node"
    start: int
    end: int


class Cardinality(enum.Enum):
    """How many elements of each side may match."""

    ONE_TO_ONE = "one-to-one"
    #: group_left: many elements on the left side.
    MANY_TO_ONE = "many-to-one"
    #: group_right: many elements on the right side.
    ONE_TO_MANY = "one-to-many"


@dataclass(frozen=True, slots=True)
class Matching:
    """How elements of two vectors find each other.

    Attributes:
        on: whether `labels` are those that must agree (`on`) or those left out (`ignoring`).
        include: labels that the result takes from the "one" side.
    """

    cardinality: Cardinality = Cardinality.ONE_TO_ONE
    on: bool = False
    labels: tuple[str, ...] = ()
    include: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary operation; `operator_start` is the offset of the operator."""

    operator: str
    left: "Node"
    right: "Node"
    matching: Matching
    return_bool: bool
    operator_start: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Aggregation:
    """An aggregation; `parameter` is that of topk, bottomk, quantile and count_values."""

    operator: str
    expression: "Node"
    parameter: "Node | None"
    grouping: tuple[str, ...]
    without: bool
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function."""

    function: Signature
    arguments: "tuple[Node, ...]"
    start: int
    end: int


Node = Number | Text | VectorSelector | MatrixSelector | Subquery | Paren | Unary | Binary | Aggregation | Call


def type_of(node: Node) -> Type:
    """The type of an expression's value."""
    match node:
        case Number():
            return Type.SCALAR
        case Text():
            return Type.STRING
        case MatrixSelector() | Subquery():
            return Type.MATRIX
        case VectorSelector() | Aggregation():
            return Type.VECTOR
        case Paren() | Unary():
            return type_of(node.expression)
        case Call():
            return node.function.result
        case Binary():
            both_scalar = type_of(node.left) is Type.SCALAR and type_of(node.right) is Type.SCALAR
            return Type.SCALAR if both_scalar else Type.VECTOR


def without_parens(node: Node) -> Node:
    """The expression inside any parentheses around it."""
    while isinstance(node, Paren):
        node = node.expression
    return node


def children(node: Node) -> "tuple[Node, ...]":
    """The expressions directly below a node."""
    match node:
        case MatrixSelector():
            return (node.selector,)
        case Paren() | Unary() | Subquery():
            return (node.expression,)
        case Binary():
            return (node.left, node.right)
        case Aggregation():
            return (node.expression,) if node.parameter is None else (node.parameter, node.expression)
        case Call():
            return node.arguments
        case _:
            return ()
