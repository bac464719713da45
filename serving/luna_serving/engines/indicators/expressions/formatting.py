"""The canonical text of an expression: equal exactly where expressions are equal, and an expression again."""

from .expression import Expression
from .parsing import MINUS_POWER, NOT_POWER, POWERS
from .tree import Binary, Column, Constant, Cross, Lag, Negation, Node, Not, Output, Use, Where

_ATOM = 100


def canonical(expression: Expression) -> str:
    """Format with one space around operators, as few parentheses as possible, and all parameters by name.

    `parse(canonical(e))` equals `e`, so formatting twice changes nothing. Fit for keys of a cache.
    """
    return _text(expression.root)


def _text(node: Node) -> str:
    match node:
        case Constant(value):
            return number_text(value)
        case Column(name):
            return name
        case Negation(operand):
            return f"-{_held(operand, MINUS_POWER)}"
        case Not(operand):
            return f"not {_held(operand, NOT_POWER)}"
        case Binary(operator, left, right):
            power = POWERS[operator]
            return f"{_held(left, power)} {operator} {_held(right, power + 1)}"
        case Where(condition, then, otherwise):
            return f"where({_text(condition)}, {_text(then)}, {_text(otherwise)})"
        case Lag(operand, bars):
            return f"lag({_text(operand)}, {bars})"
        case Cross(over, left, right):
            return f"cross_{'over' if over else 'under'}({_text(left)}, {_text(right)})"
        case Output(of, name):
            return _call(of) if len(of.indicator.outputs) == 1 else f"{_call(of)}.{name}"


def _call(use: Use) -> str:
    values = dict(use.params)
    arguments = [_text(each) for each in use.inputs]
    arguments += [f"{each.name}={number_text(values[each.name])}" for each in use.indicator.parameters]
    return f"{use.name}({', '.join(arguments)})"


def _held(node: Node, power: int) -> str:
    """The text of an operand, in parentheses if its operator holds less strongly than `power`."""
    text = _text(node)
    return f"({text})" if _power(node) < power else text


def _power(node: Node) -> int:
    match node:
        case Binary(operator):
            return POWERS[operator]
        case Not():
            return NOT_POWER
        case Negation():
            return MINUS_POWER
        case _:
            return _ATOM


def number_text(value: float) -> str:
    """The shortest literal of the same double: `12`, `0.5`, `1e+300`."""
    text = repr(value)
    return text.removesuffix(".0")
