"""From a name and parameters to a checked formula."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from luna_serving.capabilities.indicators.jobs.tasks import CUSTOM, Formula
from luna_serving.capabilities.indicators.wire.items import ItemInvalid, unknown_indicator
from luna_serving.engines.indicators.catalogue import CATALOGUE, Indicator, ParameterInvalid, checked
from luna_serving.engines.indicators.expressions import Expression, Fault, canonical, indicators_of, parse
from luna_serving.prices.located import SERVER
from luna_store.quota.debits import Grant

CAPABILITY: Final = "indicators"
READING: Final = Grant("market", SERVER)
"""What an expression without an indicator needs on the server's market: `close` alone is its prices."""
ANCHOR: Final = "anchor"
BENCHMARK: Final = "benchmark"
NAME: Final = re.compile(r"[a-z0-9](?:[-_a-z0-9]{0,61}[a-z0-9])?", re.ASCII)
WRONG_NAME: Final = (
    "Must be 1 to 63 lower-case letters, digits, hyphens and underscores, with a letter or digit at each end."
)
DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Asked:
    """An indicator that was asked for, checked."""

    formula: Formula
    params: Mapping[str, object]
    """As answers show them."""
    grants: tuple[str, ...]
    """Names that the account must be granted: of the indicator, or of those in an expression."""
    inputs: frozenset[str]
    """Columns of bars that it reads."""
    outputs: int
    needs_benchmark: bool = False
    benchmark: str | None = None
    """The symbol that was asked for."""


def asked_for(name: str, params: Mapping[str, object], gaps: str, benchmark: str | None = None) -> Asked:
    """An indicator of the catalogue, with defaults.

    Args:
        name: as it was sent.
        params: as they were sent, `anchor` and `benchmark` among them.
        gaps: a value of the engine's `Gaps`.
        benchmark: a symbol for those that need one and name none.

    Raises:
        ItemInvalid: 404 or 422.
    """
    indicator = CATALOGUE.get(name)
    if indicator is None:
        raise unknown_indicator(name)
    numbers = {key: value for key, value in params.items() if key not in {ANCHOR, BENCHMARK}}
    try:
        whole = checked(indicator, numbers)
    except ParameterInvalid as e:
        raise ItemInvalid("invalid", 422, f"{e.detail[:1].upper()}{e.detail[1:]}.", "params", e.name) from e
    anchor = _anchor(indicator.takes_anchor, name, params)
    shown: dict[str, object] = dict(whole)
    if anchor is not None:
        shown[ANCHOR] = params[ANCHOR]
    symbol = _benchmark(indicator, params, benchmark)
    if symbol is not None:
        shown[BENCHMARK] = symbol
    return Asked(
        Formula(name, tuple(whole.items()), gaps, anchor),
        shown,
        (name,),
        frozenset(indicator.inputs),
        len(indicator.outputs),
        indicator.needs_benchmark,
        symbol,
    )


def asked_custom(name: str, text: str, params: Mapping[str, object], gaps: str) -> Asked:
    """An account's own indicator.

    Args:
        name: with `CUSTOM` before it.
        text: its expression, as it is stored.
        params: as they were sent; it takes `anchor` alone.
        gaps: a value of the engine's `Gaps`.

    Raises:
        ItemInvalid: 422; also where the expression is none any more, after an indicator was renamed.
    """
    for key in params:
        if key != ANCHOR:
            raise ItemInvalid(
                "invalid", 422, "Is no parameter: a custom indicator takes none but anchor.", "params", key
            )
    try:
        expression = parse(text)
    except Fault as e:
        raise ItemInvalid("invalid", 422, f"The expression of {name} is not valid any more. {e}", "name") from e
    anchor = _anchor(True, name, params)
    return Asked(
        Formula(name, (), gaps, anchor, canonical(expression)),
        {ANCHOR: params[ANCHOR]} if anchor is not None else {},
        grants_of(expression),
        frozenset(expression.columns),
        1,
    )


def grants_of(expression: Expression) -> tuple[str, ...]:
    """The indicators in an expression, each of which must be granted."""
    return tuple(indicators_of(expression))


def custom_name(name: str) -> str | None:
    """The name of an account's own indicator without its prefix; None for one of the catalogue."""
    return name.removeprefix(CUSTOM) if name.startswith(CUSTOM) else None


def instant(text: object) -> datetime | None:
    """A date or time of ISO 8601 in UTC; None if it is neither."""
    if not isinstance(text, str):
        return None
    try:
        if DATE.fullmatch(text):
            day = date.fromisoformat(text)
            return datetime(day.year, day.month, day.day, tzinfo=UTC)
        if not text[:4].isdigit() or "T" not in text.upper():
            return None
        at = datetime.fromisoformat(text)
        return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _anchor(takes: bool, name: str, params: Mapping[str, object]) -> datetime | None:
    if ANCHOR not in params:
        return None
    if not takes:
        raise ItemInvalid("invalid", 422, f"Is not a parameter of {name}.", "params", ANCHOR)
    anchor = instant(params[ANCHOR])
    if anchor is None:
        raise ItemInvalid("invalid", 422, "Must be a date such as 2012-12-03.", "params", ANCHOR)
    return anchor


def _benchmark(indicator: Indicator, params: Mapping[str, object], default: str | None) -> str | None:
    given = params.get(BENCHMARK)
    if given is not None and not indicator.needs_benchmark:
        raise ItemInvalid("invalid", 422, f"Is not a parameter of {indicator.name}.", "params", BENCHMARK)
    if given is not None and not (isinstance(given, str) and given):
        raise ItemInvalid("invalid", 422, "Must be a symbol.", "params", BENCHMARK)
    if not indicator.needs_benchmark:
        return None
    return given if isinstance(given, str) else default


def benchmark_missing(name: str) -> ItemInvalid:
    """422: an indicator of two instruments has one."""
    detail = f"{name} compares with a second instrument: name one, such as SPY."
    return ItemInvalid("invalid", 422, detail, "params", BENCHMARK)
