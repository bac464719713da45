"""From text to tokens: names, numbers, symbols. One pass, linear in the length of the text."""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType
from typing import Final

from .faults import Fault, Reason, Span
from .limits import Limits
from .lookalikes import described, invisible, meant


class TokenKind(Enum):
    """What a token is."""

    NAME = auto()
    NUMBER = auto()
    SYMBOL = auto()
    """An operator, a parenthesis, a comma, or one of the words `and`, `or`, `not`."""
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A token and its place; the end of the text is a token, too, of length 0."""

    kind: TokenKind
    text: str
    span: Span

    def is_symbol(self, *symbols: str) -> bool:
        """Whether it is one of these symbols."""
        return self.kind is TokenKind.SYMBOL and self.text in symbols


WORDS: Final = frozenset({"and", "or", "not"})

_SPACE = re.compile(r"[ \t\r\n]+")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
# What a person may take for a number: longer than _NUMBER where it is not one.
_NUMBER_LIKE = re.compile(r"\.?[0-9](?:[eE][+-]?[0-9]|[A-Za-z0-9_.])*")
_SYMBOL = re.compile(r"<=|>=|==|!=|[-+*/<>=(),.]")
# Symbols of other languages; the longest come first.
_FOREIGN = re.compile(r"\*\*|//|/\*|&&|\|\||<>|<<|>>|<-|->|=>|:=|===|!==|\?\?|::|[^A-Za-z0-9\s]")

_CURES: Final = MappingProxyType(
    {
        "**": "Multiply instead: x * x. There are no powers.",
        "^": "Multiply instead: x * x. There are no powers.",
        "//": "Divide with /. There are no comments and no integer division.",
        "/*": "Remove the comment.",
        "#": "Remove the comment.",
        "%": "Remove it. There is no remainder, and percentages are numbers: 0.05.",
        "&&": "Write and.",
        "&": "Write and.",
        "||": "Write or.",
        "|": "Write or.",
        "!": "Write not, or != to compare.",
        "~": "Write not.",
        "<>": "Write !=.",
        "===": "Write ==.",
        "!==": "Write !=.",
        "?": "Write where(condition, a, b).",
        "??": "Write where(condition, a, b).",
        "=>": "Write >=.",
        "[": "Write lag(close, 1) for the bar before. There are no subscripts.",
        "]": "Write lag(close, 1) for the bar before. There are no subscripts.",
        "{": "Use round parentheses.",
        "}": "Use round parentheses.",
        "'": "Remove the quotes. There are no strings.",
        '"': "Remove the quotes. There are no strings.",
        "`": "Remove the quotes. There are no strings.",
        ";": "Write one expression. There are no statements.",
        ":": "Write one expression. There are no slices, types and lambdas.",
        ":=": "Write one expression. There are no assignments.",
        "\\": "Remove it. An expression may span several lines as it is.",
        "$": "Remove it. Columns are named plainly: close.",
        "@": "Remove it. Columns are named plainly: close.",
    }
)
_GENERAL_CURE: Final = "Remove it."


def tokens_of(text: str, limits: Limits) -> list[Token]:
    """Split the text into tokens, the last one of kind END. Raises `Fault`."""
    if len(text) > limits.characters:
        raise Fault(
            Reason.LIMIT,
            Span(limits.characters, len(text) - limits.characters),
            f"The expression has {len(text)} characters, {limits.characters} are allowed.",
            "Shorten it.",
        )
    return [*_tokens(text, limits), Token(TokenKind.END, "", Span(len(text), 0))]


def _tokens(text: str, limits: Limits) -> Iterator[Token]:
    at = 0
    while at < len(text):
        if match := _SPACE.match(text, at):
            at = match.end()
            continue
        token = _token(text, at, limits)
        yield token
        at = token.span.end


def _token(text: str, at: int, limits: Limits) -> Token:
    if match := _NUMBER_LIKE.match(text, at):
        return _number(match[0], Span(at, len(match[0])), limits)
    if match := _NAME.match(text, at):
        kind = TokenKind.SYMBOL if match[0] in WORDS else TokenKind.NAME
        return Token(kind, match[0], Span(at, len(match[0])))
    symbol, foreign = _SYMBOL.match(text, at), _FOREIGN.match(text, at)
    known = 0 if symbol is None else len(symbol[0])
    if foreign is not None and foreign[0] in _CURES and len(foreign[0]) > known:
        raise Fault(
            Reason.CHARACTER,
            Span(at, len(foreign[0])),
            f"{foreign[0]} is not part of expressions.",
            _CURES[foreign[0]],
        )
    if symbol is not None:
        return Token(TokenKind.SYMBOL, symbol[0], Span(at, known))
    raise _unknown(text[at], at)


def _number(text: str, span: Span, limits: Limits) -> Token:
    if len(text) > limits.number_characters:
        message = f"A number of {len(text)} characters; {limits.number_characters} are allowed."
        raise Fault(Reason.LIMIT, span, message, "Round it.")
    if _NUMBER.fullmatch(text) is None:
        raise Fault(Reason.SYNTAX, span, f"{text} is not a number.", "Write decimal numbers as 12, 0.5 or 2.5e6.")
    value = float(text)
    if math.isinf(value):
        raise Fault(Reason.LIMIT, span, f"{text} is larger than the largest double.", "Write at most 1.7e308.")
    if value == 0 and text.strip("0.").lower().split("e")[0].strip("0.") != "":
        raise Fault(Reason.LIMIT, span, f"{text} is smaller than the smallest double.", "Write 0.")
    return Token(TokenKind.NUMBER, text, span)


def _unknown(character: str, at: int) -> Fault:
    cure = _GENERAL_CURE
    likeness = meant(character)
    if likeness is not None and likeness.strip():
        cure = f"It looks like {likeness} and is another character. Type {likeness}."
    elif likeness is not None:
        cure = "Type a plain space."
    elif invisible(character):
        cure = "It is invisible. Remove it."
    return Fault(Reason.CHARACTER, Span(at, 1), f"The character {described(character)} is not allowed.", cure)
