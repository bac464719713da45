"""Whether a silence holds an alert back: Alertmanager's matchers."""

from collections.abc import Mapping, Sequence
from typing import Any

from luna_serving.engines.promql.api import Matcher, MatchOperator

Matchers = tuple[Matcher, ...]


def matchers_of(written: Sequence[Mapping[str, Any]]) -> Matchers:
    """The matchers of a silence's body: `name`, `value`, `isRegex`, `isEqual`."""
    return tuple(Matcher(each["name"], _operator(each), each["value"]) for each in written)


def _operator(written: Mapping[str, Any]) -> MatchOperator:
    equal = written.get("isEqual", True)
    if written.get("isRegex", False):
        return MatchOperator.REGEX if equal else MatchOperator.NOT_REGEX
    return MatchOperator.EQUAL if equal else MatchOperator.NOT_EQUAL


def silenced(labels: Mapping[str, str], silences: Sequence[Matchers]) -> bool:
    """Whether all matchers of a silence pass; a label that is missing has the empty value."""
    return any(all(matcher.matches(labels.get(matcher.name, "")) for matcher in silence) for silence in silences)
