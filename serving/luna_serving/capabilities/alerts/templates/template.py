"""Parses a template once, and renders it for each alert."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from luna_serving.capabilities.alerts.templates.functions import FUNCTIONS, TemplateFailed, is_true
from luna_serving.capabilities.alerts.templates.printing import shown
from luna_serving.capabilities.alerts.templates.regular import MOST_TEXT

# A text of an alert is kept and sent: what a template prints is cut here.
MOST_OUTPUT: Final = 4_096
DEEPEST: Final = 32
_ACTION: Final = re.compile(r"\{\{(?:-(?=\s))?(.*?)(?:(?<=\s)-)?\}\}", re.DOTALL)
_COMMENT: Final = re.compile(r"\s*/\*.*\*/\s*", re.DOTALL)
_TOKEN: Final = re.compile(
    r"""\s*(?:
    (?P<text>"(?:[^"\\\n]|\\.)*"|`[^`]*`)
    |(?P<number>[+-]?(?:\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+(?:[eE][+-]?\d+)?)(?![\w.]))
    |(?P<variable>\$\w*(?:\.\w+)*)
    |(?P<field>(?:\.\w+)+|\.)
    |(?P<name>[A-Za-z_]\w*)
    |(?P<sign>[()|])
    )""",
    re.VERBOSE,
)
_ESCAPE: Final = re.compile(r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4}))")
_ESCAPED: Final = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_ROOTS: Final = {
    "$labels": "labels",
    "$value": "value",
    "$externalLabels": "external_labels",
    "$externalURL": "external_url",
    ".Labels": "labels",
    ".Value": "value",
    ".ExternalLabels": "external_labels",
    ".ExternalURL": "external_url",
}
_REFUSED: Final = frozenset(
    {"query", "range", "define", "template", "block", "with", "break", "continue", "tmpl", "first", "value", "label"}
    | {"sortByLabel", "tableLink", "graphLink", "safeHtml", "args", "strvalue", "toTime"}
)


class TemplateWrong(ValueError):
    """A template that cannot be used; the message says where and why."""


@dataclass(frozen=True, slots=True)
class Values:
    """What a template can print."""

    labels: Mapping[str, str]
    value: float
    external_labels: Mapping[str, str]
    external_url: str


Expression = Callable[[Values], Any]
Piece = Callable[[Values], str]


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed template."""

    text: str
    pieces: tuple[Piece, ...]

    def render(self, values: Values) -> str:
        """The text; where it cannot be made, Prometheus' notice of that."""
        try:
            return "".join(piece(values) for piece in self.pieces)[:MOST_OUTPUT]
        except TemplateFailed as e:
            return f"<error expanding template: {e}>"[:MOST_OUTPUT]


def parse_template(text: str) -> Template:
    """Parse a template.

    Raises:
        TemplateWrong: it is no template, or uses what is not supported.
    """
    if "{{" not in text:
        return Template(text, (_constant(text),) if text else ())
    reader = _Reader(text)
    return Template(text, tuple(reader.pieces(outermost=True)))


class _Reader:
    """Reads a template from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._depth = 0
        self._trim = False
        self._ended_by = ""

    def pieces(self, *, outermost: bool = False) -> list[Piece]:
        """The pieces up to the end, or to the `else` or `end` of the surrounding `if`."""
        self._depth += 1
        if self._depth > DEEPEST:
            raise TemplateWrong("The template is nested too deeply.")
        found: list[Piece] = []
        while self._at < len(self._text):
            action = _ACTION.search(self._text, self._at)
            plain = self._plain(self._text[self._at : action.start() if action else None], action)
            if plain:
                found.append(_constant(plain))
            if action is None:
                self._at = len(self._text)
                break
            start = self._at = action.end()
            self._trim = action[0].endswith("-}}") and action[0][-4:-3].isspace()
            body = action[1].strip()
            if _COMMENT.fullmatch(body):
                continue
            if body.split(None, 1)[:1] in (["end"], ["else"]):
                if outermost:
                    raise TemplateWrong(f"{{{{ {body} }}}} has no if, at character {start}.")
                self._ended_by = body
                self._depth -= 1
                return found
            found.append(self._piece(body))
        if not outermost:
            raise TemplateWrong("An if has no end.")
        self._depth -= 1
        return found

    def _plain(self, text: str, action: re.Match[str] | None) -> str:
        if action is None and ("{{" in text):
            raise TemplateWrong(f"An action is not closed, at character {self._at + text.index('{{')}.")
        if self._trim:
            text, self._trim = text.lstrip(), False
        return text.rstrip() if action is not None and re.match(r"\{\{-\s", action[0]) else text

    def _piece(self, body: str) -> Piece:
        word = body.split(None, 1)[0] if body else ""
        if word == "if":
            return self._branch(_Pipeline(body[2:]).read())
        if ":=" in body:
            raise TemplateWrong(f"Variables cannot be set: {body!r}.")
        expression = _Pipeline(body).read()
        return lambda values: shown(expression(values))

    def _branch(self, condition: Expression) -> Piece:
        then = self.pieces()
        rest = self._ended_by.split(None, 1)
        otherwise: list[Piece] = []
        if rest[0] == "else":
            if len(rest) > 1:
                if not rest[1].startswith("if "):
                    raise TemplateWrong(f"{{{{ {self._ended_by} }}}} is not supported.")
                otherwise = [self._branch(_Pipeline(rest[1][2:]).read())]
            else:
                otherwise = self.pieces()
                if self._ended_by != "end":
                    raise TemplateWrong("An if has two else.")
        elif self._ended_by != "end":
            raise TemplateWrong(f"{{{{ {self._ended_by} }}}} is not supported.")
        return lambda values: "".join(piece(values) for piece in (then if is_true(condition(values)) else otherwise))


class _Pipeline:
    """Reads the inside of one action."""

    def __init__(self, body: str) -> None:
        self._body = body
        self._tokens: list[tuple[str, str]] = []
        at = 0
        body = body.rstrip()
        while at < len(body):
            found = _TOKEN.match(body, at)
            if found is None:
                raise TemplateWrong(f"{body[at:].strip()[:40]!r} cannot be read in {{{{{self._body}}}}}.")
            assert found.lastgroup is not None  # noqa: S101  every alternative is a group
            self._tokens.append((found.lastgroup, found[found.lastgroup]))
            at = found.end()
        self._at = 0

    def read(self) -> Expression:
        """The whole pipeline."""
        expression = self._pipeline(0)
        if self._at < len(self._tokens):
            raise TemplateWrong(f"{self._tokens[self._at][1]!r} is not expected in {{{{{self._body}}}}}.")
        return expression

    def _pipeline(self, depth: int) -> Expression:
        if depth > DEEPEST:
            raise TemplateWrong("The template is nested too deeply.")
        expression = self._command(None, depth)
        while self._peek() == ("sign", "|"):
            self._at += 1
            expression = self._command(expression, depth)
        return expression

    def _command(self, piped: Expression | None, depth: int) -> Expression:
        kind, token = self._peek()
        if kind == "name" and token not in ("true", "false"):
            self._at += 1
            arguments: list[Expression] = []
            while self._peek()[0] not in ("", "sign") or self._peek()[1] == "(":
                arguments.append(self._operand(depth))
            return _call(token, arguments if piped is None else [*arguments, piped])
        operand = self._operand(depth)
        if piped is not None:
            raise TemplateWrong(f"A value cannot be piped into {token!r}: it is no function.")
        return operand

    def _operand(self, depth: int) -> Expression:
        kind, token = self._peek()
        self._at += 1
        match kind:
            case "text":
                return _constant(_unquoted(token))
            case "number":
                value = float(token) if any(c in token for c in ".eE") else int(token)
                return _constant(value)
            case "variable" | "field":
                return _looked_up(token)
            case "name" if token in ("true", "false"):
                return _constant(token == "true")  # noqa: S105  a literal
            case "name":
                return _call(token, [])
            case "sign" if token == "(":  # noqa: S105  a parenthesis
                inner = self._pipeline(depth + 1)
                if self._peek() != ("sign", ")"):
                    raise TemplateWrong(f"A parenthesis is not closed in {{{{{self._body}}}}}.")
                self._at += 1
                return inner
            case _:
                raise TemplateWrong(f"A value is missing in {{{{{self._body}}}}}.")

    def _peek(self) -> tuple[str, str]:
        return self._tokens[self._at] if self._at < len(self._tokens) else ("", "")


def _constant(value: Any) -> Callable[[Values], Any]:  # noqa: ANN401
    return lambda _: value


def _unquoted(token: str) -> str:
    if token.startswith("`"):
        return token[1:-1]

    def escaped(found: re.Match[str]) -> str:
        if found[1]:
            return _ESCAPED.get(found[1], found[1])
        return chr(int(found[2] or found[3], 16))

    text = token[1:-1]
    if re.sub(_ESCAPE, "", text).find("\\") >= 0:
        raise TemplateWrong(f"{token} has an escape that is not known.")
    return _ESCAPE.sub(escaped, text)


def _looked_up(token: str) -> Expression:
    root, *fields = token.split(".") if token.startswith("$") else token[1:].split(".")
    root = root if token.startswith("$") else f".{root}"
    attribute = _ROOTS.get(root)
    if attribute is None:
        known = ", ".join(name for name in _ROOTS if name.startswith("$"))
        raise TemplateWrong(f"{token!r} is not known: templates have {known}.")
    if len(fields) > (1 if attribute.endswith("labels") else 0):
        raise TemplateWrong(f"{token!r} has no such field.")
    if not fields:
        return lambda values: getattr(values, attribute)
    return lambda values: getattr(values, attribute).get(fields[0], "")


def _call(name: str, arguments: list[Expression]) -> Expression:
    function = FUNCTIONS.get(name)
    if function is None:
        if name in _REFUSED:
            raise TemplateWrong(f"{name!r} is not supported in templates of Luna (docs/alerts.md).")
        raise TemplateWrong(f"The function {name!r} is not defined.")
    if len(arguments) < function.least or (function.most is not None and len(arguments) > function.most):
        wanted = f"{function.least}" if function.most == function.least else f"at least {function.least}"
        raise TemplateWrong(f"{name} takes {wanted} arguments, not {len(arguments)}.")

    def called(values: Values) -> Any:  # noqa: ANN401  a value of a template
        made = function.call(*(each(values) for each in arguments))
        if isinstance(made, str) and len(made) > MOST_TEXT:
            raise TemplateFailed(f"the text that {name} makes is too long")
        return made

    return called
