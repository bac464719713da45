"""Checks of a whole tree: types, numbers of arguments, modifiers of operators. Messages as in Prometheus."""

from typing import NoReturn

from luna_serving.engines.promql.errors import LimitExceeded, ParseError, Position
from luna_serving.engines.promql.series import NAME_LABEL
from luna_serving.engines.promql.syntax.nodes import (
    Aggregation,
    Binary,
    Call,
    Cardinality,
    Node,
    Subquery,
    Unary,
    VectorSelector,
    children,
    type_of,
    without_parens,
)
from luna_serving.engines.promql.syntax.signatures import Type
from luna_serving.engines.promql.syntax.tokens import COMPARISONS, SET_OPERATORS, go_quote

_SHORT = {Type.SCALAR: "scalar", Type.VECTOR: "vector", Type.MATRIX: "matrix", Type.STRING: "string"}
_NUMBERS = (Type.SCALAR, Type.VECTOR)


def check_height(tree: Node, highest: int) -> None:
    """Refuse a tree that is too high to be walked recursively.

    Raises:
        LimitExceeded: more than `highest` levels.
    """
    level: list[Node] = [tree]
    for _ in range(highest):
        level = [child for node in level for child in children(node)]
        if not level:
            return
    raise LimitExceeded(f"the query has more than {highest} levels of operators and calls", "height", highest)


def check(text: str, node: Node) -> None:
    """Check a node and all below it.

    Raises:
        ParseError: the first fault, from the leaves upwards and from left to right.
    """
    match node:
        case Aggregation():
            _check_aggregation(text, node)
        case Call():
            _check_call(text, node)
        case _:
            for child in children(node):
                check(text, child)
    match node:
        case Binary():
            _check_binary(text, node)
        case Unary() if type_of(node.expression) not in _NUMBERS:
            shown = type_of(node.expression).value
            message = "unary expression only allowed on expressions of type scalar or instant vector, got "
            _fail(text, node.start, message + go_quote(shown))
        case Subquery() if type_of(node.expression) is not Type.VECTOR:
            shown = _SHORT[type_of(node.expression)]
            _fail(text, node.start, f"subquery is only allowed on instant vector, got {shown} instead")
        case VectorSelector():
            _check_selector(text, node)
        case _:
            pass


def _fail(text: str, start: int, message: str) -> NoReturn:
    raise ParseError(message, Position.of(text, start))


def _check_aggregation(text: str, node: Aggregation) -> None:
    _expect(text, node.expression, Type.VECTOR, "aggregation expression")
    if node.parameter is not None:
        wanted = Type.STRING if node.operator == "count_values" else Type.SCALAR
        _expect(text, node.parameter, wanted, "aggregation parameter")


def _expect(text: str, node: Node, wanted: Type, context: str) -> None:
    check(text, node)
    if type_of(node) is not wanted:
        _fail(text, node.start, f"expected type {wanted.value} in {context}, got {type_of(node).value}")


def _check_call(text: str, node: Call) -> None:
    function = node.function
    name, given = go_quote(function.name), len(node.arguments)
    most = len(function.arguments)
    if function.extension is not None:
        least = most - function.extension.optional
    elif function.variadic:
        least = most - 1
        most = least + function.variadic if function.variadic > 0 else given
    else:
        least = most
    if least == most != given:
        _fail(text, node.start, f"expected {most} argument(s) in call to {name}, got {given}")
    if given < least:
        _fail(text, node.start, f"expected at least {least} argument(s) in call to {name}, got {given}")
    if given > most:
        _fail(text, node.start, f"expected at most {most} argument(s) in call to {name}, got {given}")
    for index, argument in enumerate(node.arguments):
        wanted = function.arguments[min(index, len(function.arguments) - 1)]
        _expect(text, argument, wanted, f"call to function {name}")
        needs_selector = function.extension is not None and wanted is Type.VECTOR
        if needs_selector and not isinstance(without_parens(argument), VectorSelector):
            _fail(text, argument.start, f"expected an instant vector selector in call to function {name}")


def _check_binary(text: str, node: Binary) -> None:
    left, right = type_of(node.left), type_of(node.right)
    if node.return_bool and node.operator not in COMPARISONS:
        _fail(text, node.operator_start, "bool modifier can only be used on comparison operators")
    if node.operator in COMPARISONS and not node.return_bool and left is right is Type.SCALAR:
        _fail(text, node.operator_start, "comparisons between scalars must use BOOL modifier")
    matching = node.matching
    if matching.on:
        for label in matching.labels:
            if label in matching.include:
                message = f"label {go_quote(label)} must not occur in ON and GROUP clause at once"
                _fail(text, node.operator_start, message)
    for side, kind in ((node.left, left), (node.right, right)):
        if kind not in _NUMBERS:
            _fail(text, side.start, "binary expression must contain only scalar and instant vector types")
    both_vectors = left is right is Type.VECTOR
    if not both_vectors and matching.labels:
        _fail(text, node.start, "vector matching only allowed between instant vectors")
    if node.operator in SET_OPERATORS:
        operator = go_quote(node.operator)
        if both_vectors and matching.cardinality is not Cardinality.ONE_TO_ONE:
            _fail(text, node.start, f"no grouping allowed for {operator} operation")
        if not both_vectors:
            _fail(text, node.start, f"set operator {operator} not allowed in binary scalar expression")


def _check_selector(text: str, node: VectorSelector) -> None:
    if node.name:
        # The last matcher is the name before the braces.
        for matcher in node.matchers[:-1]:
            if matcher.name == NAME_LABEL:
                names = f"{go_quote(node.name)} or {go_quote(matcher.value)}"
                _fail(text, node.start, f"metric name must not be set twice: {names}")
    elif all(matcher.matches("") for matcher in node.matchers):
        _fail(text, node.start, "vector selector must contain at least one non-empty matcher")
