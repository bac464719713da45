"""Asks the shard about rules: their vectors, and whether their selectors find anything."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from luna_serving.capabilities.alerts.rules.language import parse
from luna_serving.engines.promql.api import Matcher, Scalar, Selection, Vector
from luna_serving.samples.requests import InstantQuery


class Asks(Protocol):
    """What the evaluation needs of `luna_serving.samples.client.Samples`."""

    async def instant(
        self, account_id: int, queries: Sequence[InstantQuery], *, most_samples: int = 0
    ) -> Sequence[Any]:
        """For each query, in order, a result of the engine or a `QueryRefused`."""

    async def range(
        self, account_id: int, text: str, start_ms: int, end_ms: int, step_ms: int, *, most_samples: int = 0
    ) -> Any:  # noqa: ANN401
        """A `Matrix`, or a `QueryRefused`."""


MOST_SELECTORS: Final = 16


def presence_query(query: str, at_ms: int) -> str | None:
    """PromQL that has a value if any vector selector of a query finds a sample for an evaluation at `at_ms`.

    None for a query without selectors.
    """
    selections = parse(query).selections(at_ms, at_ms, 1)[:MOST_SELECTORS]
    return " or ".join(_count(each, at_ms) for each in selections) or None


def is_empty(result: Any) -> bool:  # noqa: ANN401  of the engine
    """Whether a vector has no element."""
    return isinstance(result, Vector) and not len(result.values)


def found_any(result: Any) -> bool:  # noqa: ANN401  of the engine, or a refusal
    """Whether the answer to a presence query says that there is data; what is refused counts as data."""
    return not is_empty(result) or isinstance(result, Scalar)


def _count(selection: Selection, at_ms: int) -> str:
    """Relative to the time of evaluation, so that the text serves a range, too."""
    length_ms, back_ms = selection.last_ms - selection.first_ms + 1, at_ms - selection.last_ms
    matchers = ", ".join(f"{_name(each)}{each.operator.value}{_quoted(each.value)}" for each in selection.matchers)
    offset = f" offset {'-' if back_ms < 0 else ''}{abs(back_ms)}ms" if back_ms else ""
    return f"count(last_over_time({{{matchers}}}[{length_ms}ms]{offset}))"


def _name(matcher: Matcher) -> str:
    plain = matcher.name.replace("_", "a").isalnum() and matcher.name.isascii() and not matcher.name[0].isdigit()
    return matcher.name if plain else _quoted(matcher.name)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def warnings_of(result: Any) -> Mapping[str, None]:  # noqa: ANN401  of the engine
    """Its warnings and infos, each once."""
    return dict.fromkeys([*getattr(result, "warnings", ()), *getattr(result, "infos", ())])
