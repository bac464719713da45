"""Tokens and how messages name them."""

import enum
from dataclasses import dataclass
from typing import Final


class Kind(enum.Enum):
    """What a token is. Values of punctuation and operators are their text."""

    END = "end of input"
    IDENTIFIER = "identifier"
    METRIC_IDENTIFIER = "metric identifier"
    STRING = "string"
    NUMBER = "number"
    DURATION = "duration"
    AGGREGATOR = "aggregator"
    KEYWORD = "keyword"
    #: start, end, step, range, max_of, min_of.
    PREPROCESSOR = "preprocessor"
    LEFT_PAREN = "("
    RIGHT_PAREN = ")"
    LEFT_BRACE = "{"
    RIGHT_BRACE = "}"
    LEFT_BRACKET = "["
    RIGHT_BRACKET = "]"
    COMMA = ","
    COLON = ":"
    EQUAL = "="
    #: Binary operators, matching operators and `@`.
    OPERATOR = "operator"


AGGREGATORS: Final = frozenset(
    ("sum", "avg", "count", "min", "max", "group", "stddev", "stdvar", "topk", "bottomk", "count_values", "quantile")
)
EXPERIMENTAL_AGGREGATORS: Final = frozenset(("limitk", "limit_ratio"))
WORD_OPERATORS: Final = frozenset(("and", "or", "unless", "atan2"))
KEYWORDS: Final = frozenset(
    (
        "offset", "smoothed", "anchored", "by", "without", "on", "ignoring", "group_left", "group_right", "bool",
        "fill", "fill_left", "fill_right",
    )
)  # fmt: skip
PREPROCESSORS: Final = frozenset(("start", "end", "step", "range", "max_of", "min_of"))
#: Keywords that cannot name a metric outside of braces.
RESERVED: Final = frozenset(("on", "ignoring", "group_left", "group_right", "bool", "atan2"))

COMPARISONS: Final = frozenset(("==", "!=", ">", "<", ">=", "<="))
SET_OPERATORS: Final = frozenset(("and", "or", "unless"))
TRIM_OPERATORS: Final = frozenset(("</", ">/"))
#: Larger binds tighter. `^` associates to the right, the others to the left.
PRECEDENCE: Final = {
    "or": 1,
    "and": 2, "unless": 2,
    "==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "</": 3, ">/": 3,
    "+": 4, "-": 4,
    "*": 5, "/": 5, "%": 5, "atan2": 5,
    "^": 6,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Token:
    """A token.

    Attributes:
        kind: what it is.
        text: as written; words in lower case in `word`.
        start: offset of its first character.
    """

    kind: Kind
    text: str
    start: int

    @property
    def end(self) -> int:
        """Offset after its last character."""
        return self.start + len(self.text)

    @property
    def word(self) -> str:
        """The text of a keyword, aggregator or operator, whose case does not matter."""
        return self.text.lower()

    def description(self) -> str:
        """As Prometheus names the token in "unexpected ..."."""
        shown = go_quote(self.text) if len(self.text) <= 10 else go_quote(self.text[:10]) + "..."
        match self.kind:
            case Kind.END:
                return "end of input"
            case Kind.IDENTIFIER | Kind.METRIC_IDENTIFIER:
                return f"{self.kind.value} {go_quote(self.text)}"
            case Kind.STRING | Kind.NUMBER | Kind.DURATION:
                return f"{self.kind.value} {shown}"
            case Kind.AGGREGATOR:
                return f"<aggr:{self.text}>"
            case Kind.OPERATOR:
                return f"<op:{self.text}>"
            case Kind.KEYWORD:
                return f"<{self.text}>"
            case _:
                return shown


def go_quote(text: str, quote: str = '"') -> str:
    """The text in quotes, special characters escaped as Go's %q does."""
    escapes = {"\\": "\\\\", quote: "\\" + quote, "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    shown = "".join(escapes.get(c, c if c.isprintable() else f"\\u{ord(c):04x}") for c in text)
    return quote + shown + quote
