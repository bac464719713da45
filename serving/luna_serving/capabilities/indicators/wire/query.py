"""Parses `GET /indicators/{name}`."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from luna_serving.capabilities.indicators.rendering.answers import FORMS
from luna_serving.capabilities.indicators.wire.formulas import ANCHOR, BENCHMARK
from luna_serving.capabilities.indicators.wire.windows import Frame, frame_of
from luna_serving.edge.query import Parameters
from luna_serving.engines.indicators.catalogue import CATALOGUE
from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError
from luna_serving.wire.tabular import acceptable

MAX_SYMBOL: Final = 64
SHARED: Final = ("symbol", "interval", "start", "end", "adjust", "as_of", "gaps")
NUMBERS: Final[Mapping[str, str]] = {
    each.name: each.type for indicator in CATALOGUE.values() for each in indicator.parameters
}
"""The type of each parameter of an indicator, by name."""
PARAMETERS: Final = frozenset({*SHARED, ANCHOR, BENCHMARK, *NUMBERS})


@dataclass(frozen=True, slots=True)
class Wanted:
    """One indicator of one symbol, as it was asked for."""

    name: str
    symbol: str
    params: Mapping[str, object]
    frame: Frame
    form: str
    if_none_match: str | None


def parse_query(asked: Parameters) -> Wanted:
    """Read the path, the query and the headers.

    Raises:
        Problem: 406 or 422.
    """
    form = _form(asked.headers.get(b"accept", b"*/*"))
    symbol = asked.one("symbol")
    if not symbol:
        raise problems.invalid(FieldError("/query/symbol", "Name a symbol, such as AAPL."))
    check_symbol(symbol, "/query/symbol")

    def given(name: str) -> str | None:
        return asked.one(name) if name in asked.query else None

    frame = frame_of(given, "/query")
    params = {name: _value(name, asked.one(name)) for name in asked.query if name not in SHARED}
    known = asked.headers.get(b"if-none-match")
    return Wanted(asked.path["name"], symbol, params, frame, form, None if known is None else known.decode("latin-1"))


def check_symbol(symbol: str, pointer: str) -> None:
    """Refuse what cannot be a symbol.

    Raises:
        Problem: 422.
    """
    if not symbol_is_possible(symbol):
        raise problems.invalid(FieldError(pointer, f"Must be 1 to {MAX_SYMBOL} printable characters without spaces."))


def symbol_is_possible(symbol: str) -> bool:
    """Whether it can be a symbol: it becomes part of a key and of queries."""
    return 0 < len(symbol) <= MAX_SYMBOL and symbol.isprintable() and not any(c.isspace() for c in symbol)


# Every call of the hot route asks, and callers send few different headers.
@lru_cache(256)
def _form(accept: bytes) -> str:
    return acceptable(accept.decode("latin-1") or "*/*", FORMS)


def _value(name: str, text: str) -> object:
    """A number as a number. What is none stays text, which the check of parameters refuses with its type."""
    if name not in NUMBERS:
        return text
    try:
        # Not float() alone: it takes "nan", "1_0" and digits of other scripts.
        if not text.isascii() or "_" in text or text.lower().strip("+-") in {"nan", "inf", "infinity"}:
            return text
        return int(text) if text.lstrip("+-").isdigit() else float(text)
    except ValueError:
        return text
