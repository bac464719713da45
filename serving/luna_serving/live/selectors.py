"""Selectors of subscriptions: PromQL vector selectors, compiled once per account and text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from luna_serving.engines.promql.api import Matcher, PromqlError, match_all, parse_selector
from luna_serving.wire.problems import FieldError

if TYPE_CHECKING:
    from luna_serving.live.series import LiveSeries
    from luna_serving.live.subscribers import Subscriber

LONGEST: Final = 4_096


class SelectorRefused(ValueError):
    """A text that is no selector."""

    def __init__(self, error: FieldError) -> None:
        super().__init__(error.detail)
        self.error = error


class Selector:
    """One selector of an account, shared by its subscribers."""

    def __init__(self, text: str, matchers: tuple[Matcher, ...]) -> None:
        self.text = text
        self._matchers = matchers
        self.subscribers: set[Subscriber] = set()
        self.series: dict[bytes, LiveSeries] = {}
        """The series that it matches, with their last values."""
        self.loaded = False
        """Whether the present values of all its series were read."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether it selects a series, `__name__` among its labels."""
        return match_all(self._matchers, labels)


def compiled(text: str, pointer: str) -> tuple[Matcher, ...]:
    """The conditions of a selector.

    Args:
        text: a PromQL vector selector without range, `offset` and `@`.
        pointer: its place in the message, for the error.

    Raises:
        SelectorRefused: it is none.
    """
    if len(text) > LONGEST:
        raise SelectorRefused(FieldError(pointer, f"Must have at most {LONGEST} characters."))
    try:
        return parse_selector(text)
    except PromqlError as e:
        detail = f'Must be a PromQL vector selector, such as cpu{{host="a"}}: {e}.'
        raise SelectorRefused(FieldError(pointer, detail)) from e
