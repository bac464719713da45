"""Text to tokens, one at a time: a fault in the text is reported only when the grammar gets there."""

from typing import Final

from luna_serving.engines.promql.errors import ParseError, Position
from luna_serving.engines.promql.syntax.scanning import DIGITS, WORD, scan_duration_rest, scan_number
from luna_serving.engines.promql.syntax.tokens import (
    AGGREGATORS,
    EXPERIMENTAL_AGGREGATORS,
    KEYWORDS,
    PREPROCESSORS,
    WORD_OPERATORS,
    Kind,
    Token,
    go_quote,
)

_SPACE: Final = " \t\n\r"
_ALPHA: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
_ESCAPES: Final = {"x": (2, 16, 255), "u": (4, 16, 0x10FFFF), "U": (8, 16, 0x10FFFF)}
_PLAIN: Final = {
    ",": Kind.COMMA, "*": Kind.OPERATOR, "/": Kind.OPERATOR, "%": Kind.OPERATOR, "+": Kind.OPERATOR,
    "-": Kind.OPERATOR, "^": Kind.OPERATOR, "@": Kind.OPERATOR,
}  # fmt: skip
_DURATION_WORDS: Final = frozenset(("step", "range", "max_of", "min_of"))


class Lexer:
    """Reads tokens from left to right. Inside braces, keywords are identifiers; inside brackets, only durations."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._parens = 0
        self._in_braces = False
        self._in_brackets = False
        self._colon_seen = False
        #: Between `[` and the first number, where only an expression of durations may be.
        self._in_duration = False

    def next(self) -> Token:
        """The next token; `END` at the end, again and again.

        Raises:
            ParseError: characters that are no token.
        """
        self._skip_space_and_comments()
        char = self._peek()
        if char == "":
            return self._end()
        if self._in_braces:
            return self._inside_braces(char)
        return self._in_duration_expression(char) if self._in_duration else self._outside_braces(char)

    def _peek(self, ahead: int = 0) -> str:
        return self._text[self._at + ahead : self._at + ahead + 1]

    def _fail(self, message: str, start: int | None = None) -> ParseError:
        return ParseError(message, Position.of(self._text, self._at if start is None else start))

    def _take(self, kind: Kind, length: int) -> Token:
        token = Token(kind, self._text[self._at : self._at + length], self._at)
        self._at += length
        return token

    def _skip_space_and_comments(self) -> None:
        text, at = self._text, self._at
        while at < len(text):
            if text[at] in _SPACE:
                at += 1
            elif text[at] == "#":
                while at < len(text) and text[at] not in "\r\n":
                    at += 1
            else:
                break
        self._at = at

    def _end(self) -> Token:
        if self._in_braces:
            raise self._fail("unexpected end of input inside braces")
        if self._in_duration:
            raise self._fail("unexpected end of input in duration expression")
        if self._parens:
            raise self._fail("unclosed left parenthesis")
        if self._in_brackets:
            raise self._fail("unclosed left bracket")
        return Token(Kind.END, "", self._at)

    def _inside_braces(self, char: str) -> Token:
        if char in _ALPHA:
            return self._take(Kind.IDENTIFIER, self._word_length())
        if char in "\"'`":
            return self._string(char)
        following = self._peek(1)
        match char:
            case ",":
                return self._take(Kind.COMMA, 1)
            case "=":
                return self._take(Kind.OPERATOR, 2) if following == "~" else self._take(Kind.EQUAL, 1)
            case "!":
                if following in ("~", "="):
                    return self._take(Kind.OPERATOR, 2)
                raise self._fail(f"unexpected character after '!' inside braces: {_rune(following)}")
            case "{":
                raise self._fail(f"unexpected left brace {_rune(char)}")
            case "}":
                self._in_braces = False
                return self._take(Kind.RIGHT_BRACE, 1)
        raise self._fail(f"unexpected character inside braces: {_rune(char)}")

    def _in_duration_expression(self, char: str) -> Token:
        if char in DIGITS or (char == "." and self._peek(1) in DIGITS and self._peek(1)):
            self._in_duration = False
            return self._number_or_duration()
        if char in _PLAIN and char != "@":
            return self._take(_PLAIN[char], 1)
        if char in "()]":
            self._in_duration = char != "]"
            return self._bracket(char)
        length = self._word_length()
        if self._text[self._at : self._at + length].lower() in _DURATION_WORDS:
            return self._take(Kind.PREPROCESSOR, length)
        if char == ":":
            raise self._fail("unexpected colon before duration in duration expression", self._at + 1)
        raise self._fail(f"unexpected character in duration expression: {_rune(char)}")

    def _outside_braces(self, char: str) -> Token:
        if char in DIGITS or (char == "." and self._peek(1) in DIGITS and self._peek(1)):
            return self._number_or_duration()
        if char in _ALPHA or char == ":":
            return self._word_in_brackets(char) if self._in_brackets else self._word()
        if char in _PLAIN:
            return self._take(_PLAIN[char], 1)
        if char in "\"'`":
            return self._string(char)
        if char in "=!<>":
            return self._comparison(char)
        return self._bracket(char)

    def _comparison(self, char: str) -> Token:
        following = self._peek(1)
        if char == "=" and following != "=":
            if following == "~":
                raise self._fail(f"unexpected character after '=': {_rune(following)}")
            return self._take(Kind.EQUAL, 1)
        if char == "!" and following != "=":
            raise self._fail(f"unexpected character after '!': {_rune(following)}")
        wide = following == "=" or (char in "<>" and following == "/")
        return self._take(Kind.OPERATOR, 2 if wide else 1)

    def _bracket(self, char: str) -> Token:
        match char:
            case "(":
                self._parens += 1
                return self._take(Kind.LEFT_PAREN, 1)
            case ")":
                self._parens -= 1
                if self._parens < 0:
                    raise self._fail(f"unexpected right parenthesis {_rune(char)}", self._at + 1)
                return self._take(Kind.RIGHT_PAREN, 1)
            case "{":
                self._in_braces = True
                return self._take(Kind.LEFT_BRACE, 1)
            case "[":
                if self._in_brackets:
                    raise self._fail(f"unexpected left bracket {_rune(char)}")
                self._in_brackets, self._in_duration, self._colon_seen = True, True, False
                return self._take(Kind.LEFT_BRACKET, 1)
            case "]":
                if not self._in_brackets:
                    raise self._fail(f"unexpected right bracket {_rune(char)}")
                self._in_brackets = False
                return self._take(Kind.RIGHT_BRACKET, 1)
        raise self._fail(f"unexpected character: {_rune(char)}")

    def _word_length(self, *, colons: bool = False) -> int:
        text, end = self._text, self._at
        while end < len(text) and (text[end] in WORD or (colons and text[end] == ":")):
            end += 1
        return end - self._at

    def _word_in_brackets(self, char: str) -> Token:
        if char == ":":
            if self._colon_seen:
                raise self._fail(f"unexpected colon {_rune(char)}")
            self._colon_seen = True
            return self._take(Kind.COLON, 1)
        length = self._word_length()
        if self._text[self._at : self._at + length].lower() in _DURATION_WORDS:
            return self._take(Kind.PREPROCESSOR, length)
        raise self._fail(f"unexpected character: {_rune(char)}, expected ':'")

    def _word(self) -> Token:
        length = self._word_length(colons=True)
        text = self._text[self._at : self._at + length]
        word = text.lower()
        if word in ("inf", "nan"):
            return self._take(Kind.NUMBER, length)
        if word in ("fill", "fill_left", "fill_right"):
            # Words of their own unless a parenthesis follows.
            rest = self._text[self._at + length :].lstrip(_SPACE)
            return self._take(Kind.KEYWORD if rest.startswith("(") else Kind.IDENTIFIER, length)
        for words, kind in (
            (AGGREGATORS, Kind.AGGREGATOR),
            (EXPERIMENTAL_AGGREGATORS, Kind.AGGREGATOR),
            (WORD_OPERATORS, Kind.OPERATOR),
            (KEYWORDS, Kind.KEYWORD),
            (PREPROCESSORS, Kind.PREPROCESSOR),
        ):
            if word in words:
                return self._take(kind, length)
        return self._take(Kind.METRIC_IDENTIFIER if ":" in text else Kind.IDENTIFIER, length)

    def _number_or_duration(self) -> Token:
        length, valid = scan_number(self._text, self._at)
        if valid:
            return self._take(Kind.NUMBER, length)
        # As the reference does, a duration goes on where the number stopped.
        end, valid = scan_duration_rest(self._text, self._at + length)
        if valid:
            return self._take(Kind.DURATION, end - self._at)
        raise self._fail(f"bad number or duration syntax: {go_quote(self._text[self._at : end])}")

    def _string(self, quote: str) -> Token:
        text, start = self._text, self._at
        at = start + 1
        while True:
            char = text[at : at + 1]
            if char == "" or (char == "\n" and quote != "`"):
                kind = "raw" if quote == "`" else "quoted"
                raise self._fail(f"unterminated {kind} string")
            if char == quote:
                return self._take(Kind.STRING, at + 1 - start)
            at += 1
            if char == "\\" and quote != "`":
                at = self._skip_escape(at, quote)

    def _skip_escape(self, at: int, quote: str) -> int:
        char = self._text[at : at + 1]
        if char == "":
            raise self._fail("escape sequence not terminated")
        if char in "abfnrtv\\" or char == quote:
            return at + 1
        count, base, largest = (3, 8, 255) if char in "01234567" else _ESCAPES.get(char, (0, 0, 0))
        if count == 0:
            raise self._fail(f"unknown escape sequence {_code_point(char)}")
        first = at if base == 8 else at + 1
        value = 0
        for digit in range(first, first + count):
            char = self._text[digit : digit + 1]
            if char == "":
                raise self._fail("escape sequence not terminated")
            if char not in "0123456789abcdefABCDEF" or int(char, 16) >= base:
                raise self._fail(f"illegal character {_code_point(char)} in escape sequence")
            value = value * base + int(char, 16)
        if value > largest or 0xD800 <= value < 0xE000:
            raise self._fail("escape sequence is an invalid Unicode code point")
        return first + count


def _rune(char: str) -> str:
    """A character as Go's %q shows it; the end of the input is no character."""
    return go_quote(char, "'") if char else "'�'"


def _code_point(char: str) -> str:
    return f"U+{ord(char):04X} {go_quote(char, chr(39))}"
