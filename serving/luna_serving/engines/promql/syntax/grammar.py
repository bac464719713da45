"""The grammar of expressions: operators by precedence, calls, aggregations."""

from collections.abc import Mapping

from luna_serving.engines.promql.extensions import Extension
from luna_serving.engines.promql.limits import ParseLimits
from luna_serving.engines.promql.matchers import Matcher, MatchOperator
from luna_serving.engines.promql.series import NAME_LABEL
from luna_serving.engines.promql.syntax.nodes import (
    Aggregation,
    Binary,
    Call,
    Cardinality,
    Matching,
    Node,
    Number,
    Paren,
    Text,
    Unary,
    VectorSelector,
)
from luna_serving.engines.promql.syntax.reading import Reader
from luna_serving.engines.promql.syntax.selectors import (
    literal_text,
    number_node,
    read_at,
    read_braces,
    read_offset,
    read_range,
)
from luna_serving.engines.promql.syntax.signatures import EXPERIMENTAL, FUNCTIONS, NATIVE, Signature, signature_of
from luna_serving.engines.promql.syntax.tokens import (
    EXPERIMENTAL_AGGREGATORS,
    PRECEDENCE,
    RESERVED,
    TRIM_OPERATORS,
    Kind,
    Token,
)

_WITH_PARAMETER = frozenset(("topk", "bottomk", "count_values", "quantile"))
_WORDS = (Kind.IDENTIFIER, Kind.METRIC_IDENTIFIER, Kind.AGGREGATOR, Kind.KEYWORD, Kind.PREPROCESSOR, Kind.OPERATOR)


def read_expression(text: str, extensions: Mapping[str, Extension], limits: ParseLimits) -> Node:
    """The tree of a query, types not yet checked.

    Raises:
        ParseError: with the position of the first fault.
        LimitExceeded: too long or too deep.
    """
    reader = Reader(text, limits)
    if reader.at(Kind.END):
        raise reader.error("no expression found in input", 0)
    tree = _Grammar(reader, extensions).expression(0)
    if not reader.at(Kind.END):
        raise reader.unexpected()
    return tree


class _Grammar:
    """Recursive descent over a reader."""

    def __init__(self, reader: Reader, extensions: Mapping[str, Extension]) -> None:
        self._reader = reader
        self._extensions = extensions

    def expression(self, above: int) -> Node:
        """An expression of operators that bind tighter than `above`."""
        reader = self._reader
        reader.enter()
        left = self._unary()
        while reader.at(Kind.OPERATOR) and PRECEDENCE.get(reader.current.word, 0) > above:
            left = self._binary(left)
        reader.leave()
        return left

    def _unary(self) -> Node:
        reader = self._reader
        sign = reader.accept(Kind.OPERATOR, "+", "-")
        if sign is None:
            return self._postfix(self._primary())
        # Binds as tight as multiplication: -2^2 is -(2^2).
        inner = self.expression(PRECEDENCE["*"])
        if isinstance(inner, Number):
            return Number(-inner.value if sign.text == "-" else inner.value, sign.start, inner.end)
        return Unary(sign.text, inner, sign.start, inner.end)

    def _binary(self, left: Node) -> Node:
        reader = self._reader
        operator = reader.take()
        word = operator.word
        return_bool = reader.accept(Kind.KEYWORD, "bool") is not None
        matching = self._matching()
        if reader.at(Kind.KEYWORD, "fill", "fill_left", "fill_right"):
            raise reader.unsupported("binop fill modifiers are experimental and not enabled", left.start)
        precedence = PRECEDENCE[word]
        right = self.expression(precedence - 1 if word == "^" else precedence)
        if word in TRIM_OPERATORS:
            message = f'operator "{word}" trims native histograms, which are not supported'
            raise reader.unsupported(message, operator.start)
        return Binary(word, left, right, matching, return_bool, operator.start, left.start, right.end)

    def _matching(self) -> Matching:
        reader = self._reader
        token = reader.accept(Kind.KEYWORD, "on", "ignoring")
        if token is None:
            return Matching()
        labels = self._labels()
        side = reader.accept(Kind.KEYWORD, "group_left", "group_right")
        if side is None:
            return Matching(Cardinality.ONE_TO_ONE, token.word == "on", labels)
        many_left = side.word == "group_left"
        include = self._labels() if reader.at(Kind.LEFT_PAREN) else ()
        cardinality = Cardinality.MANY_TO_ONE if many_left else Cardinality.ONE_TO_MANY
        return Matching(cardinality, token.word == "on", labels, include)

    def _labels(self) -> tuple[str, ...]:
        """A list of label names in parentheses."""
        reader = self._reader
        if not reader.at(Kind.LEFT_PAREN):
            raise reader.unexpected("grouping opts", '"("')
        reader.take()
        names: list[str] = []
        while reader.accept(Kind.RIGHT_PAREN) is None:
            names.append(self._label())
            if reader.accept(Kind.COMMA) is None and not reader.at(Kind.RIGHT_PAREN):
                raise reader.unexpected("grouping opts", '"," or ")"')
        return tuple(names)

    def _label(self) -> str:
        reader = self._reader
        token = reader.current
        if token.kind is Kind.STRING:
            reader.take()
            name = literal_text(reader, token)
        elif token.kind in _WORDS and token.text.replace(":", "_").isidentifier():
            name = reader.take().text
        else:
            raise reader.unexpected("grouping opts", "label")
        if not name:
            raise reader.error('invalid label name for grouping: ""', token.start)
        return name

    def _postfix(self, node: Node) -> Node:
        reader = self._reader
        while True:
            if reader.at(Kind.LEFT_BRACKET):
                node = read_range(reader, node)
            elif reader.at(Kind.KEYWORD, "offset"):
                node = read_offset(reader, node)
            elif reader.at(Kind.OPERATOR, "@"):
                node = read_at(reader, node)
            elif reader.at(Kind.KEYWORD, "anchored", "smoothed"):
                message = f"{reader.current.word} modifier is experimental and not enabled"
                raise reader.unsupported(message, node.start)
            else:
                return node

    def _primary(self) -> Node:
        reader = self._reader
        token = reader.current
        match token.kind:
            case Kind.NUMBER | Kind.DURATION:
                return number_node(reader)
            case Kind.STRING:
                reader.take()
                return Text(literal_text(reader, token), token.start, token.end)
            case Kind.LEFT_PAREN:
                reader.take()
                inner = self.expression(0)
                reader.expect(Kind.RIGHT_PAREN)
                return Paren(inner, token.start, reader.last_end)
            case Kind.LEFT_BRACE:
                return read_braces(reader, None)
            case Kind.IDENTIFIER | Kind.METRIC_IDENTIFIER | Kind.AGGREGATOR | Kind.KEYWORD | Kind.PREPROCESSOR:
                return self._word()
            case Kind.OPERATOR if token.word in ("and", "or", "unless"):
                return self._word()
        raise reader.unexpected()

    def _word(self) -> Node:
        """What starts with a word: an aggregation, a call, or a selector."""
        reader = self._reader
        token = reader.current
        if token.kind is Kind.KEYWORD and token.word in RESERVED:
            raise reader.unexpected()
        reader.take()
        if token.kind is Kind.AGGREGATOR and (reader.at(Kind.LEFT_PAREN) or reader.at(Kind.KEYWORD, "by", "without")):
            return self._aggregation(token)
        if reader.at(Kind.LEFT_PAREN) and token.kind in (Kind.IDENTIFIER, Kind.PREPROCESSOR):
            return self._call(token)
        if reader.at(Kind.LEFT_BRACE):
            return read_braces(reader, token)
        matcher = Matcher(NAME_LABEL, MatchOperator.EQUAL, token.text)
        return VectorSelector(token.text, (matcher,), token.start, token.end)

    def _aggregation(self, operator: Token) -> Node:
        reader = self._reader
        reader.enter(aggregation=True)
        grouping, without = self._grouping()
        before = grouping is not None
        if not reader.at(Kind.LEFT_PAREN):
            raise reader.unexpected()
        arguments = self._arguments()
        end = reader.last_end
        if not before:
            grouping, without = self._grouping()
            end = reader.last_end
        reader.leave(aggregation=True)
        word = operator.word
        if not arguments:
            raise reader.error("no arguments for aggregate expression provided", operator.start)
        if word in EXPERIMENTAL_AGGREGATORS:
            flag = "--enable-feature=promql-experimental-functions"
            raise reader.unsupported(f"{word}() is experimental and must be enabled with {flag}", operator.start)
        wanted = 2 if word in _WITH_PARAMETER else 1
        if len(arguments) != wanted:
            message = "wrong number of arguments for aggregate expression provided"
            raise reader.error(f"{message}, expected {wanted}, got {len(arguments)}", operator.start)
        parameter = arguments[0] if wanted > 1 else None
        return Aggregation(word, arguments[-1], parameter, grouping or (), without, operator.start, end)

    def _grouping(self) -> tuple[tuple[str, ...] | None, bool]:
        token = self._reader.accept(Kind.KEYWORD, "by", "without")
        return (None, False) if token is None else (self._labels(), token.word == "without")

    def _call(self, name: Token) -> Node:
        reader = self._reader
        arguments = self._arguments()
        signature = self._signature(name)
        return Call(signature, tuple(arguments), name.start, reader.last_end)

    def _signature(self, name: Token) -> Signature:
        text = name.text
        if text in FUNCTIONS:
            return FUNCTIONS[text]
        if text in self._extensions:
            return signature_of(self._extensions[text])
        if text in EXPERIMENTAL:
            raise self._reader.unsupported(f'function "{text}" is not enabled', name.start)
        if text in NATIVE:
            message = f'function "{text}" reads native histograms, which are not supported'
            raise self._reader.unsupported(message, name.start)
        raise self._reader.error(f'unknown function with name "{text}"', name.start)

    def _arguments(self) -> list[Node]:
        """Expressions in parentheses, separated by commas."""
        reader = self._reader
        reader.expect(Kind.LEFT_PAREN)
        arguments: list[Node] = []
        if reader.accept(Kind.RIGHT_PAREN):
            return arguments
        while True:
            arguments.append(self.expression(0))
            comma = reader.accept(Kind.COMMA)
            if comma is None:
                reader.expect(Kind.RIGHT_PAREN)
                return arguments
            if reader.at(Kind.RIGHT_PAREN) or reader.at(Kind.COMMA):
                raise reader.error("trailing commas not allowed in function call args", comma.start)
