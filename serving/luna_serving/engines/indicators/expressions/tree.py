"""The checked tree: only names that exist, arguments that are valid, and kinds that fit.

Nodes are equal where they mean the same, wherever they stand in the text. `lookback` is the number of bars before the
first value in a history without gaps. Each node's value at a bar depends on that bar and earlier ones only.
"""

from dataclasses import dataclass, field
from enum import Enum

from luna_serving.engines.indicators.catalogue.entry import Indicator

from .faults import Span


class Kind(Enum):
    """What a node's value is at a bar."""

    CONSTANT = "a constant"
    SERIES = "a series of numbers"
    CONDITION = "a condition"
    """True, false or null; in results 1, 0 or null."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A literal number."""

    value: float
    span: Span = field(compare=False)

    @property
    def kind(self) -> Kind:
        """The same at every bar."""
        return Kind.CONSTANT

    @property
    def lookback(self) -> int:
        """Known at the first bar."""
        return 0


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the bars."""

    name: str
    span: Span = field(compare=False)

    @property
    def kind(self) -> Kind:
        """Prices and volumes are numbers."""
        return Kind.SERIES

    @property
    def lookback(self) -> int:
        """Known at the first bar."""
        return 0


@dataclass(frozen=True, slots=True)
class Negation:
    """`-x`."""

    operand: "Node"
    span: Span = field(compare=False)

    @property
    def kind(self) -> Kind:
        """A constant stays one."""
        return self.operand.kind

    @property
    def lookback(self) -> int:
        """The operand's."""
        return self.operand.lookback


@dataclass(frozen=True, slots=True)
class Not:
    """`not x`: null where x is null."""

    operand: "Node"
    span: Span = field(compare=False)

    @property
    def kind(self) -> Kind:
        """A condition."""
        return Kind.CONDITION

    @property
    def lookback(self) -> int:
        """The operand's."""
        return self.operand.lookback


@dataclass(frozen=True, slots=True)
class Binary:
    """`x + y`, `x < y`, `x and y`; `kind` follows from the operator and the operands."""

    operator: str
    left: "Node"
    right: "Node"
    kind: Kind
    span: Span = field(compare=False)

    @property
    def lookback(self) -> int:
        """The longer one of the operands'."""
        return max(self.left.lookback, self.right.lookback)


@dataclass(frozen=True, slots=True)
class Where:
    """`where(condition, a, b)`: a where the condition holds, b where it does not, null where it is null."""

    condition: "Node"
    then: "Node"
    otherwise: "Node"
    span: Span = field(compare=False)

    @property
    def kind(self) -> Kind:
        """Numbers."""
        return Kind.SERIES

    @property
    def lookback(self) -> int:
        """The longest of the parts': which of them is taken at a bar does not matter."""
        return max(self.condition.lookback, self.then.lookback, self.otherwise.lookback)


@dataclass(frozen=True, slots=True)
class Lag:
    """`lag(x, n)`: x n bars before."""

    operand: "Node"
    bars: int
    span: Span = field(compare=False)

    @property
    def kind(self) -> Kind:
        """The operand's."""
        return self.operand.kind

    @property
    def lookback(self) -> int:
        """The lag comes on top."""
        return self.operand.lookback + self.bars


@dataclass(frozen=True, slots=True)
class Cross:
    """`cross_over(a, b)`: a > b here and a <= b at the bar before; `cross_under`: a < b here and a >= b before."""

    over: bool
    left: "Node"
    right: "Node"
    span: Span = field(compare=False)

    @property
    def kind(self) -> Kind:
        """A condition."""
        return Kind.CONDITION

    @property
    def lookback(self) -> int:
        """One bar more than the operands'."""
        return max(self.left.lookback, self.right.lookback) + 1


@dataclass(frozen=True, slots=True)
class Use:
    """A call of an indicator, with all its parameters. Its outputs are computed together."""

    name: str
    params: tuple[tuple[str, int | float], ...]
    """Sorted by name, defaults filled in."""
    inputs: tuple["Node", ...]
    """Series instead of the column that the indicator takes by default, and of its benchmark's; empty if it reads
    the columns of the bars."""
    indicator: Indicator = field(compare=False)

    @property
    def own_lookback(self) -> int:
        """Of the indicator alone."""
        return self.indicator.lookback(dict(self.params))


@dataclass(frozen=True, slots=True)
class Output:
    """One output of an indicator."""

    of: Use
    name: str
    span: Span = field(compare=False)

    @property
    def kind(self) -> Kind:
        """Numbers."""
        return Kind.SERIES

    @property
    def lookback(self) -> int:
        """The indicator's comes on top of its inputs'."""
        return max((each.lookback for each in self.of.inputs), default=0) + self.of.own_lookback


Node = Constant | Column | Negation | Not | Binary | Where | Lag | Cross | Output


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below."""
    match node:
        case Constant() | Column():
            return ()
        case Negation(operand) | Not(operand) | Lag(operand):
            return (operand,)
        case Binary(_, left, right) | Cross(_, left, right):
            return (left, right)
        case Where(condition, then, otherwise):
            return (condition, then, otherwise)
        case Output(of):
            return of.inputs
