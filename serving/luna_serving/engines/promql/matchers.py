"""Conditions on labels, as in a selector."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from luna_serving.engines.promql.regex import compiled


class MatchOperator(enum.Enum):
    """How a label's value is compared."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True)
class Matcher:
    """A condition on one label. A label that a series lacks has the empty value.

    Attributes:
        name: of the label; `__name__` for the name of the metric.
        operator: how to compare.
        value: the text or the regular expression (RE2), which must match the whole value.
    """

    name: str
    operator: MatchOperator
    value: str

    def matches(self, value: str) -> bool:
        """Whether a label with this value passes."""
        if self.operator is MatchOperator.EQUAL:
            return value == self.value
        if self.operator is MatchOperator.NOT_EQUAL:
            return value != self.value
        found = compiled(self.value).matches(value)
        return found is (self.operator is MatchOperator.REGEX)

    def __str__(self) -> str:
        return f"{self.name}{self.operator.value}{self.value!r}"


def match_all(matchers: tuple[Matcher, ...], labels: Mapping[str, str]) -> bool:
    """Whether a series with these labels, `__name__` included, passes all the conditions."""
    return all(matcher.matches(labels.get(matcher.name, "")) for matcher in matchers)
