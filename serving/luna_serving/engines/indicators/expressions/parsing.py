"""From tokens to a syntax tree, by precedence climbing (Pratt 1973, "Top down operator precedence").

Loosest first: `or`, `and`, `not`, comparisons (which do not chain), `+ -`, `* /`, unary minus, `.output`.
"""

from types import MappingProxyType
from typing import Final

from .faults import Fault, Reason, Span
from .limits import Limits
from .syntax import Argument, Binary, Call, Group, Member, Name, Number, Syntax, Unary
from .tokens import Token, TokenKind, tokens_of

COMPARISONS: Final = frozenset({"<", "<=", ">", ">=", "==", "!="})
COMPARISON_POWER: Final = 4
POWERS: Final = MappingProxyType(
    {"or": 1, "and": 2} | dict.fromkeys(COMPARISONS, COMPARISON_POWER) | {"+": 5, "-": 5, "*": 6, "/": 6}
)
"""How strongly a binary operator holds its operands."""
NOT_POWER: Final = 3
MINUS_POWER: Final = 7


def syntax_of(text: str, limits: Limits) -> Syntax:
    """Parse the text. Raises `Fault`, nothing else; takes memory and time linear in the text."""
    tokens = tokens_of(text, limits)
    if tokens[0].kind is TokenKind.END:
        raise Fault(
            Reason.SYNTAX, Span(0, len(text)), "The expression is empty.", "Write, for example, ema(close, 12)."
        )
    return _Parser(tokens, limits).whole()


class _Parser:
    def __init__(self, tokens: list[Token], limits: Limits) -> None:
        self._tokens = tokens
        self._at = 0
        self._nesting = 0
        self._nodes = 0
        self._limits = limits

    def whole(self) -> Syntax:
        syntax = self._expression(0)
        if self._next.kind is not TokenKind.END:
            raise self._unexpected(after=True)
        return syntax

    @property
    def _next(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._next
        self._at += 1
        return token

    def _count(self, token: Token, depth: int = 1) -> int:
        """Count a node and return its depth, which is checked."""
        self._nodes += 1
        if self._nodes > self._limits.nodes:
            message = f"The expression has more than {self._limits.nodes} numbers, names, operators and calls."
            raise Fault(Reason.LIMIT, token.span, message, "Split it into several indicators.")
        if depth > self._limits.depth:
            raise self._too_deep(token)
        return depth

    def _too_deep(self, token: Token) -> Fault:
        message = f"The expression is nested more than {self._limits.depth} levels deep."
        return Fault(Reason.LIMIT, token.span, message, "Split it into several indicators.")

    def _expression(self, power: int) -> Syntax:
        """Parse operands and operators that hold stronger than `power`."""
        if self._nesting >= self._limits.depth:
            raise self._too_deep(self._next)
        self._nesting += 1
        left = self._operand()
        while self._next.kind is TokenKind.SYMBOL and POWERS.get(self._next.text, 0) > power:
            left = self._binary(left)
        self._nesting -= 1
        return left

    def _binary(self, left: Syntax) -> Syntax:
        operator = self._take()
        power = POWERS[operator.text]
        right = self._expression(power)
        depth = self._count(operator, 1 + max(left.depth, right.depth))
        if power == COMPARISON_POWER and self._next.is_symbol(*COMPARISONS):
            message = "Comparisons do not chain."
            raise Fault(Reason.SYNTAX, self._next.span, message, "Write a < b and b < c.")
        return Binary(operator.text, left, right, operator.span, depth)

    def _operand(self) -> Syntax:
        token = self._next
        if token.is_symbol("-", "not"):
            self._take()
            operand = self._expression(MINUS_POWER if token.text == "-" else NOT_POWER)
            depth = self._count(token, 1 + operand.depth)
            return Unary(token.text, operand, token.span.to(operand.span), depth)
        syntax = self._primary()
        while self._next.is_symbol("."):
            dot = self._take()
            if self._next.kind is not TokenKind.NAME:
                raise Fault(
                    Reason.SYNTAX, dot.span, "No output is named after the point.", "Write macd(close).macdsignal."
                )
            name = self._name(self._take())
            syntax = Member(syntax, name, 1 + syntax.depth)
            if syntax.depth > self._limits.depth:
                raise self._too_deep(dot)
        return syntax

    def _primary(self) -> Syntax:
        token = self._next
        if token.kind is TokenKind.NUMBER:
            self._count(self._take())
            return Number(token.text, token.span)
        if token.kind is TokenKind.NAME:
            name = self._name(self._take())
            return self._call(name) if self._next.is_symbol("(") else name
        if token.is_symbol("("):
            self._take()
            inner = self._expression(0)
            end = self._closing(token)
            return Group(inner, token.span.to(end.span), inner.depth)
        raise self._unexpected()

    def _name(self, token: Token) -> Name:
        self._count(token)
        return Name(token.text, token.span)

    def _call(self, name: Name) -> Call:
        opening = self._take()
        arguments: list[Argument] = []
        while not self._next.is_symbol(")"):
            if arguments:
                if not self._next.is_symbol(","):
                    self._closing(opening)
                self._take()
            arguments.append(self._argument())
        end = self._take()
        depth = 1 + max((each.value.depth for each in arguments), default=0)
        return Call(name, tuple(arguments), name.span.to(end.span), depth)

    def _argument(self) -> Argument:
        token = self._next
        if token.kind is TokenKind.NAME and self._tokens[self._at + 1].is_symbol("="):
            self._at += 2
            return Argument(self._name(token), self._expression(0))
        return Argument(None, self._expression(0))

    def _closing(self, opening: Token) -> Token:
        if self._next.is_symbol(")"):
            return self._take()
        if self._next.kind is TokenKind.END:
            raise Fault(Reason.SYNTAX, opening.span, "The parenthesis is never closed.", "Add a closing parenthesis.")
        raise self._unexpected(after=True)

    def _unexpected(self, *, after: bool = False) -> Fault:
        """The fault of the next token: `after` a complete operand, or where an operand must begin."""
        token = self._next
        if token.kind is TokenKind.END:
            message = "The expression ends where a number, a column or a call must follow."
            return Fault(Reason.SYNTAX, token.span, message, "Complete it.")
        shown = token.text if len(token.text) <= 40 else f"{token.text[:40]}..."
        if token.is_symbol("="):
            cure = "Write == to compare. Only parameters are named with =."
        elif token.is_symbol(")"):
            cure = "Remove the parenthesis, or open it before." if after else "Write an operand before it."
        elif token.is_symbol("+"):
            cure = "Remove the plus sign."
        elif after and token.kind is not TokenKind.SYMBOL:
            cure = "Write an operator before it."
        else:
            cure = "Remove it." if after else "Write a number, a column or a call before it."
        return Fault(Reason.SYNTAX, token.span, f"{shown} is not expected here.", cure)
