"""The grammar of selectors: braces, ranges, subqueries, offset and @."""

import dataclasses
import math
import re

from luna_serving.engines.promql.errors import UnsupportedError
from luna_serving.engines.promql.matchers import Matcher, MatchOperator
from luna_serving.engines.promql.regex import RegexError, compiled
from luna_serving.engines.promql.series import NAME_LABEL
from luna_serving.engines.promql.syntax.durations import duration_seconds, milliseconds, round_half_away
from luna_serving.engines.promql.syntax.nodes import (
    At,
    AtKind,
    MatrixSelector,
    Node,
    Number,
    Subquery,
    VectorSelector,
)
from luna_serving.engines.promql.syntax.quoting import unquote
from luna_serving.engines.promql.syntax.reading import Reader
from luna_serving.engines.promql.syntax.tokens import Kind, Token, go_quote

_DURATION_EXPECTED = "number, duration, step(), or range()"
_ARITHMETIC = ("+", "-", "*", "/", "%", "^")
_LONGEST_S = 2**63 / 1e9
#: Times of @ leave room for offsets in 64 bits.
_LATEST_MS = 2**62
#: An underscore that is not between two digits (or after `0x`).
_LOOSE_UNDERSCORE = re.compile(r"_(?![0-9a-f])|(?<![0-9a-fx])_", re.IGNORECASE)


def literal_text(reader: Reader, token: Token) -> str:
    """The text of a string token."""
    try:
        return unquote(token.text)
    except ValueError:
        message = f"error unquoting string {go_quote(token.text)}: invalid syntax"
        raise reader.error(message, token.start) from None


def literal_number(reader: Reader, token: Token) -> float:
    """The value of a number or duration token."""
    if token.kind is Kind.DURATION:
        try:
            return duration_seconds(token.text)
        except ValueError as wrong:
            raise reader.error(str(wrong), token.start) from None
    digits = token.text.replace("_", "").lower()
    try:
        if _LOOSE_UNDERSCORE.search(token.text):
            raise ValueError
        if digits.startswith("0x"):
            return float(int(digits, 16))
        # As Go's ParseInt with base 0 has it, a leading zero means octal; what is no octal number is a decimal.
        if len(digits) > 1 and digits.isdigit() and digits[0] == "0" and set(digits) <= set("01234567"):
            return float(int(digits, 8))
        return float(digits)
    except ValueError:
        message = f"error parsing number: strconv.ParseFloat: parsing {go_quote(token.text)}: invalid syntax"
        raise reader.error(message, token.start) from None


def read_braces(reader: Reader, name: Token | None) -> VectorSelector:
    """A selector whose name, if any, was read; the current token is its left brace."""
    brace = reader.take()
    matchers: list[Matcher] = []
    while not reader.accept(Kind.RIGHT_BRACE):
        matchers.append(_matcher(reader))
        if reader.accept(Kind.COMMA) is None and not reader.at(Kind.RIGHT_BRACE):
            raise reader.unexpected("label matching", '"," or "}"')
    start = brace.start if name is None else name.start
    if name is not None:
        matchers.append(Matcher(NAME_LABEL, MatchOperator.EQUAL, name.text))
    return VectorSelector("" if name is None else name.text, tuple(matchers), start, reader.last_end)


def _matcher(reader: Reader) -> Matcher:
    token = reader.current
    if token.kind not in (Kind.IDENTIFIER, Kind.STRING):
        raise reader.unexpected("label matching", 'identifier or "}"')
    reader.take()
    name = token.text if token.kind is Kind.IDENTIFIER else literal_text(reader, token)
    is_operator = reader.at(Kind.EQUAL) or reader.at(Kind.OPERATOR, "!=", "=~", "!~")
    if not is_operator:
        if token.kind is Kind.STRING:
            return Matcher(NAME_LABEL, MatchOperator.EQUAL, name)
        raise reader.unexpected("label matching", "label matching operator")
    operator = MatchOperator(reader.take().text)
    if not reader.at(Kind.STRING):
        raise reader.unexpected("label matching", "string")
    value = literal_text(reader, reader.take())
    if operator in (MatchOperator.REGEX, MatchOperator.NOT_REGEX):
        try:
            compiled(value)
        except RegexError as wrong:
            raise reader.error(f"error parsing regexp: {wrong}", token.start) from None
    return Matcher(name, operator, value)


def read_range(reader: Reader, inner: Node) -> Node:
    """A range or a subquery over `inner`; the current token is the left bracket."""
    bracket = reader.take()
    range_s = _duration(reader, "subquery or range selector")
    if reader.accept(Kind.COLON):
        return _subquery(reader, inner, range_s)
    if not reader.at(Kind.RIGHT_BRACKET):
        raise reader.unexpected("subquery or range", '":" or "]"')
    reader.take()
    if not isinstance(inner, VectorSelector):
        raise reader.error("ranges only allowed for vector selectors", bracket.start)
    if inner.offset_ms:
        raise reader.error("no offset modifiers allowed before range", bracket.start)
    if inner.at is not None:
        raise reader.error("no @ modifiers allowed before range", bracket.start)
    return MatrixSelector(inner, milliseconds(range_s), range_s, inner.start, reader.last_end)


def _subquery(reader: Reader, inner: Node, range_s: float) -> Subquery:
    step_ms = None
    if not reader.at(Kind.RIGHT_BRACKET):
        start = reader.current.start
        step_ms = milliseconds(_duration(reader, "subquery selector", ', or "]"'))
        if step_ms == 0:
            raise reader.error("duration must be at least one millisecond", start)
        if not reader.at(Kind.RIGHT_BRACKET):
            raise reader.unexpected("subquery selector", '"]"')
    reader.take()
    return Subquery(inner, milliseconds(range_s), range_s, step_ms, inner.start, reader.last_end)


def _duration(reader: Reader, context: str, more: str = "") -> float:
    """A positive duration in brackets, in seconds. Arithmetic is experimental in Prometheus and refused."""
    start = reader.current.start
    sign = 1.0
    while (token := reader.accept(Kind.OPERATOR, "+", "-")) is not None:
        sign *= -1.0 if token.text == "-" else 1.0
    if reader.current.kind in (Kind.LEFT_PAREN, Kind.PREPROCESSOR):
        raise _experimental(reader)
    if reader.current.kind not in (Kind.NUMBER, Kind.DURATION):
        expected = f"{_DURATION_EXPECTED.replace(', or', ',')}{more}" if more else _DURATION_EXPECTED
        raise reader.unexpected(context, expected)
    value = sign * _in_range(reader, literal_number(reader, reader.take()), start)
    if reader.at(Kind.OPERATOR, *_ARITHMETIC):
        raise reader.unsupported("experimental duration expression is not enabled", start)
    if not value > 0:
        raise reader.error("duration must be greater than 0", start)
    return value


def _experimental(reader: Reader) -> UnsupportedError:
    """The error that arithmetic with durations is experimental, at the expression inside any parentheses."""
    while reader.current.kind is Kind.LEFT_PAREN:
        reader.take()
    return reader.unsupported("experimental duration expression is not enabled", reader.current.start)


def _in_range(reader: Reader, seconds: float, start: int) -> float:
    if math.isnan(seconds) or abs(seconds) > _LONGEST_S:
        raise reader.error("duration out of range", start)
    return seconds


def read_offset(reader: Reader, inner: Node) -> Node:
    """`inner` with an offset; the current token is `offset`."""
    reader.take()
    start = reader.current.start
    sign = 1.0
    if (token := reader.accept(Kind.OPERATOR, "+", "-")) is not None:
        sign = -1.0 if token.text == "-" else 1.0
    # A sign before parentheses is not experimental: `offset -(5m)`.
    parens = token is not None and reader.accept(Kind.LEFT_PAREN) is not None
    if reader.current.kind is Kind.LEFT_PAREN or reader.at(Kind.PREPROCESSOR, "step", "range", "max_of", "min_of"):
        raise _experimental(reader)
    if reader.current.kind not in (Kind.NUMBER, Kind.DURATION):
        raise reader.unexpected("offset", _DURATION_EXPECTED)
    offset_ms = milliseconds(sign * _in_range(reader, literal_number(reader, reader.take()), start))
    if parens:
        if reader.at(Kind.OPERATOR, *_ARITHMETIC):
            raise _experimental(reader)
        reader.expect(Kind.RIGHT_PAREN)
    target = _target(inner)
    if target is None:
        raise reader.error(
            "offset modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            inner.start,
        )
    if target.offset_ms:
        raise reader.error("offset may not be set multiple times", inner.start)
    return _replaced(inner, dataclasses.replace(target, offset_ms=offset_ms), reader.last_end)


def read_at(reader: Reader, inner: Node) -> Node:
    """`inner` with an @ modifier; the current token is `@`."""
    reader.take()
    at = _at(reader, inner)
    target = _target(inner)
    if target is None:
        raise reader.error(
            "@ modifier must be preceded by an instant vector selector or range vector selector or a subquery",
            inner.start,
        )
    if target.at is not None:
        raise reader.error("@ <timestamp> may not be set multiple times", inner.start)
    return _replaced(inner, dataclasses.replace(target, at=at), reader.last_end)


def _at(reader: Reader, inner: Node) -> At:
    if (token := reader.accept(Kind.PREPROCESSOR, "start", "end")) is not None:
        if not reader.at(Kind.LEFT_PAREN):
            raise reader.unexpected("@", "timestamp")
        reader.take()
        if not reader.at(Kind.RIGHT_PAREN):
            raise reader.unexpected("@", "timestamp")
        reader.take()
        return At(AtKind(token.word))
    sign = 1.0
    if (token := reader.accept(Kind.OPERATOR, "+", "-")) is not None:
        sign = -1.0 if token.text == "-" else 1.0
    if reader.current.kind not in (Kind.NUMBER, Kind.DURATION):
        raise reader.unexpected("@", "timestamp")
    seconds = sign * literal_number(reader, reader.take())
    if not abs(seconds * 1000) < _LATEST_MS:
        shown = f"{seconds:.6f}" if math.isfinite(seconds) else {1: "+Inf", -1: "-Inf"}.get(_sign(seconds), "NaN")
        raise reader.error(f"timestamp out of bounds for @ modifier: {shown}", inner.start)
    return At(AtKind.TIME, round_half_away(seconds * 1000))


def _sign(value: float) -> int:
    return (value > 0) - (value < 0)


def _target(node: Node) -> VectorSelector | Subquery | None:
    """What a modifier after `node` changes; none for expressions that take no modifier."""
    if isinstance(node, MatrixSelector):
        return node.selector
    return node if isinstance(node, VectorSelector | Subquery) else None


def _replaced(node: Node, changed: VectorSelector | Subquery, end: int) -> Node:
    """`node` with its target changed, and the modifier's end."""
    if isinstance(node, MatrixSelector) and isinstance(changed, VectorSelector):
        return dataclasses.replace(node, selector=changed, end=end)
    return dataclasses.replace(changed, end=end)


def number_node(reader: Reader) -> Number:
    """A number or duration literal; the current token is one."""
    token = reader.take()
    return Number(literal_number(reader, token), token.start, token.end)
