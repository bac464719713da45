"""A stream of tokens with one token of look-ahead, and the errors of a grammar."""

from luna_serving.engines.promql.errors import LimitExceeded, ParseError, Position, UnsupportedError
from luna_serving.engines.promql.limits import ParseLimits
from luna_serving.engines.promql.syntax.lexer import Lexer
from luna_serving.engines.promql.syntax.tokens import Kind, Token


class Reader:
    """Reads tokens for the grammar.

    Attributes:
        current: the token that is looked at.
        last_end: the offset after the last token taken.
    """

    def __init__(self, text: str, limits: ParseLimits) -> None:
        if len(text) > limits.length:
            raise LimitExceeded(
                f"the query has {len(text)} characters; at most {limits.length} are allowed", "length", limits.length
            )
        self._text = text
        self._limits = limits
        self._lexer = Lexer(text)
        self._depth = 0
        #: Aggregations that are being read: a fault inside is reported "in aggregation".
        self._aggregations = 0
        self.current = self._lexer.next()
        self.last_end = 0

    def take(self) -> Token:
        """The current token; the next one becomes current."""
        token = self.current
        self.last_end = token.end
        self.current = self._lexer.next()
        return token

    def at(self, kind: Kind, *words: str) -> bool:
        """Whether the current token is of a kind and, if words are given, one of them."""
        return self.current.kind is kind and (not words or self.current.word in words)

    def accept(self, kind: Kind, *words: str) -> Token | None:
        """The current token, taken, if it is of a kind (and one of the words)."""
        return self.take() if self.at(kind, *words) else None

    def expect(self, kind: Kind) -> Token:
        """The current token, taken.

        Raises:
            ParseError: it is of another kind.
        """
        if self.current.kind is not kind:
            raise self.unexpected()
        return self.take()

    def unexpected(self, context: str = "", expected: str = "") -> ParseError:
        """The error that the current token does not fit, worded as in Prometheus."""
        context = context or ("aggregation" if self._aggregations else "")
        message = f"unexpected {self.current.description()}"
        if context:
            message += f" in {context}"
        if expected:
            message += f", expected {expected}"
        return self.error(message, self.current.start)

    def error(self, message: str, start: int) -> ParseError:
        """An error at an offset."""
        return ParseError(message, Position.of(self._text, start))

    def unsupported(self, message: str, start: int) -> UnsupportedError:
        """The error that something is valid but refused."""
        return UnsupportedError(message, Position.of(self._text, start))

    def enter(self, *, aggregation: bool = False) -> None:
        """Go one level deeper.

        Raises:
            LimitExceeded: too deep.
        """
        self._depth += 1
        self._aggregations += aggregation
        if self._depth > self._limits.depth:
            raise LimitExceeded(
                f"the query is nested more than {self._limits.depth} levels deep",
                "depth",
                self._limits.depth,
                Position.of(self._text, self.current.start),
            )

    def leave(self, *, aggregation: bool = False) -> None:
        """Come back from a level."""
        self._depth -= 1
        self._aggregations -= aggregation
