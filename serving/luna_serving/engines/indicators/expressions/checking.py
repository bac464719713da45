"""From a syntax tree to a checked one: names, kinds, arguments, lookback, cost."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Final

from luna_serving.engines.indicators.bars import COLUMNS
from luna_serving.engines.indicators.catalogue import CATALOGUE
from luna_serving.engines.indicators.catalogue.entry import Indicator

from . import syntax
from .arguments import integer, number, parameters, shown, split
from .expression import Expression, cost_of
from .faults import Fault, Reason, Span
from .limits import Limits
from .parsing import COMPARISONS, syntax_of
from .syntax import Syntax
from .tokens import WORDS
from .tree import Binary, Column, Constant, Cross, Kind, Lag, Negation, Node, Not, Output, Use, Where

FUNCTIONS: Final = ("where", "lag", "cross_over", "cross_under")
DEFAULT_LIMITS: Final = Limits()
RESERVED: Final = WORDS | frozenset({*FUNCTIONS, *COLUMNS})
"""Names that no indicator of the catalogue may have."""

_ARITHMETIC: Final = frozenset("+-*/")
_SIGNATURES: Final = MappingProxyType(
    {
        "where": ("where(condition, a, b)", 3),
        "lag": ("lag(x, bars)", 2),
        "cross_over": ("cross_over(a, b)", 2),
        "cross_under": ("cross_under(a, b)", 2),
    }
)
_CURES_OF_NAMES: Final = MappingProxyType(
    dict.fromkeys(("true", "false"), "Write a comparison, for example close > open.")
    | dict.fromkeys(("null", "none", "nan", "na"), "Remove it. Results are null where their inputs are.")
    | dict.fromkeys(("inf", "infinity"), "Write a number.")
    | dict.fromkeys(("if", "else", "iif", "lambda"), "Write where(condition, a, b).")
    | dict.fromkeys(("crossover", "crossunder"), "Write cross_over(a, b) or cross_under(a, b).")
    | dict.fromkeys(("shift", "ref", "delay", "prev"), "Write lag(x, 1).")
)


def parse(text: str, catalogue: Mapping[str, Indicator] = CATALOGUE, limits: Limits = DEFAULT_LIMITS) -> Expression:
    """Parse and check an expression over the indicators of a catalogue.

    Raises:
        Fault: the text is no expression, names what does not exist, or exceeds a limit. Nothing else is raised.
    """
    root = _Checker(catalogue, limits).numeric_or_condition(syntax_of(text, limits))
    cost = cost_of(root)
    if cost > limits.cost:
        message = f"The expression costs {cost} units per bar; {limits.cost} are allowed."
        raise Fault(Reason.LIMIT, root.span, message, "Use fewer indicators, or split it into several.")
    return Expression(root)


class _Checker:
    def __init__(self, catalogue: Mapping[str, Indicator], limits: Limits) -> None:
        self._catalogue = catalogue
        self._limits = limits

    def numeric_or_condition(self, written: Syntax) -> Node:
        root = self._node(written)
        if root.kind is Kind.CONSTANT:
            message = "The expression names no column and no indicator: it is the same at every bar."
            raise Fault(Reason.KIND, written.span, message, "Use a column: open, high, low, close or volume.")
        return root

    def _node(self, written: Syntax) -> Node:
        match written:
            case syntax.Number():
                return Constant(float(written.text), written.span)
            case syntax.Name():
                return self._column(written)
            case syntax.Group():
                return self._node(written.inner)
            case syntax.Unary("-"):
                return Negation(self._numbers(written.operand), written.span)
            case syntax.Unary():
                return Not(self._condition(written.operand), written.span)
            case syntax.Binary():
                return self._binary(written)
            case syntax.Call():
                return self._call(written)
            case syntax.Member():
                return self._member(written)

    def _column(self, name: syntax.Name) -> Column:
        if name.text in COLUMNS:
            return Column(name.text, name.span)
        if name.text in self._catalogue or name.text in FUNCTIONS:
            message = f"{name.text} is a function, and is not called."
            raise Fault(Reason.NAME, name.span, message, f"Write {name.text}(...) with its arguments.")
        raise self._unknown(name, "column", COLUMNS, f"The columns: {', '.join(COLUMNS)}.")

    def _binary(self, written: syntax.Binary) -> Node:
        if written.operator in _ARITHMETIC:
            left, right = self._numbers(written.left), self._numbers(written.right)
            constant = left.kind is right.kind is Kind.CONSTANT
            if written.operator == "/" and number(written.right) == 0:
                message = "A division by zero is null at every bar."
                raise Fault(Reason.ARGUMENT, written.right.span, message, "Write another divisor.")
            kind = Kind.CONSTANT if constant else Kind.SERIES
            return Binary(written.operator, left, right, kind, written.span)
        operand = self._numbers if written.operator in COMPARISONS else self._condition
        left, right = operand(written.left), operand(written.right)
        if left.kind is right.kind is Kind.CONSTANT:
            message = "Two constants are compared: the condition is the same at every bar."
            raise Fault(Reason.KIND, written.span, message, "Compare a column or an indicator.")
        return Binary(written.operator, left, right, Kind.CONDITION, written.span)

    def _numbers(self, written: Syntax) -> Node:
        node = self._node(written)
        if node.kind is Kind.CONDITION:
            message = "A condition stands where a number is needed."
            raise Fault(Reason.KIND, written.span, message, "Write where(condition, 1, 0) to make numbers of it.")
        return node

    def _series(self, written: Syntax) -> Node:
        node = self._numbers(written)
        if node.kind is Kind.CONSTANT:
            message = "A constant stands where a series is needed."
            raise Fault(Reason.KIND, written.span, message, "Write a column or an indicator.")
        return node

    def _condition(self, written: Syntax) -> Node:
        node = self._node(written)
        if node.kind is not Kind.CONDITION:
            message = "A number stands where a condition is needed."
            raise Fault(Reason.KIND, written.span, message, "Write a comparison, for example close > open.")
        return node

    def _call(self, call: syntax.Call) -> Node:
        if call.name.text in _SIGNATURES:
            return self._function(call)
        use = self._use(call)
        if len(use.indicator.outputs) > 1:
            outputs = use.indicator.outputs
            message = f"{use.name} has {len(outputs)} outputs: {', '.join(outputs)}."
            raise Fault(Reason.KIND, call.span, message, f"Name one: {use.name}(...).{outputs[0]}.")
        return self._bounded(Output(use, use.indicator.outputs[0], call.span))

    def _member(self, member: syntax.Member) -> Node:
        after = Span(member.of.span.end, member.span.end - member.of.span.end)
        if not isinstance(member.of, syntax.Call) or member.of.name.text in FUNCTIONS:
            # What is wrong before the point comes first.
            self._node(member.of)
            message = "Only a call of an indicator has outputs."
            raise Fault(Reason.NAME, after, message, "Remove the point and the name after it.")
        use = self._use(member.of)
        if member.name.text not in use.indicator.outputs:
            message = f"{use.name} has no output {shown(member.name.text)}."
            cure = f"Its outputs: {', '.join(use.indicator.outputs)}."
            raise Fault(Reason.NAME, member.name.span, message, cure)
        return self._bounded(Output(use, member.name.text, member.span))

    def _use(self, call: syntax.Call) -> Use:
        indicator = self._catalogue.get(call.name.text)
        if indicator is None:
            if call.name.text in COLUMNS:
                message = f"{call.name.text} is a column, and is called."
                cure = f"Write {call.name.text}, or lag({call.name.text}, 1) for the bar before."
                raise Fault(Reason.NAME, call.name.span, message, cure)
            known = [*FUNCTIONS, *self._catalogue]
            raise self._unknown(call.name, "function or indicator", known, "GET /indicators lists them.")
        series, rest = split(call, indicator)
        inputs = tuple(map(self._series, series))
        return Use(indicator.name, parameters(call, indicator, rest), inputs, indicator)

    def _function(self, call: syntax.Call) -> Node:
        signature, count = _SIGNATURES[call.name.text]
        for argument in call.arguments:
            if argument.name is not None:
                message = f"{call.name.text} takes no names of arguments."
                raise Fault(Reason.ARGUMENT, argument.name.span, message, f"Write {signature}.")
        if len(call.arguments) != count:
            message = f"{call.name.text} takes {count} arguments, {len(call.arguments)} are given."
            place = call.name.span if len(call.arguments) < count else call.arguments[count].span
            raise Fault(Reason.ARGUMENT, place, message, f"Write {signature}.")
        values = [each.value for each in call.arguments]
        build: Mapping[str, Callable[[list[Syntax], Span], Node]] = {
            "where": self._where,
            "lag": self._lag,
            "cross_over": lambda of, span: Cross(True, self._series(of[0]), self._numbers(of[1]), span),
            "cross_under": lambda of, span: Cross(False, self._series(of[0]), self._numbers(of[1]), span),
        }
        return self._bounded(build[call.name.text](values, call.span))

    def _where(self, of: list[Syntax], span: Span) -> Where:
        return Where(self._condition(of[0]), self._numbers(of[1]), self._numbers(of[2]), span)

    def _lag(self, of: list[Syntax], span: Span) -> Lag:
        operand = self._node(of[0])
        if operand.kind is Kind.CONSTANT:
            raise Fault(Reason.KIND, of[0].span, "A constant has no bars before.", "Write a column or an indicator.")
        bars = integer(of[1])
        if bars is None:
            raise Fault(Reason.ARGUMENT, of[1].span, "The lag must be a literal integer.", "Write lag(x, 1).")
        if bars < 0:
            message = "A negative lag reads bars that are not known yet."
            raise Fault(Reason.ARGUMENT, of[1].span, message, "Write lag(x, 1) for the bar before.")
        if bars > self._limits.lookback:
            message = f"A lag of more than {self._limits.lookback} bars."
            raise Fault(Reason.LIMIT, of[1].span, message, f"Write at most {self._limits.lookback}.")
        return Lag(operand, bars, span)

    def _bounded(self, node: Node) -> Node:
        if node.lookback > self._limits.lookback:
            message = f"The first value needs {node.lookback} bars before it; {self._limits.lookback} are allowed."
            raise Fault(Reason.LIMIT, node.span, message, "Use shorter periods or lags.")
        return node

    def _unknown(self, name: syntax.Name, kind: str, known: "list[str] | tuple[str, ...]", fallback: str) -> Fault:
        lowered = name.text.lower()
        everything = {*known, *COLUMNS, *FUNCTIONS, *self._catalogue}
        if name.text.startswith("_"):
            cure = "Names that begin with an underscore do not exist."
        elif lowered in _CURES_OF_NAMES:
            cure = _CURES_OF_NAMES[lowered]
        elif lowered in everything:
            cure = f"Names are lower case: {lowered}."
        elif near := get_close_matches(lowered[:40], known, n=1):
            cure = f"Did you mean {near[0]}? {fallback}"
        else:
            cure = fallback
        return Fault(Reason.NAME, name.span, f"There is no {kind} {shown(name.text)}.", cure)
