"""Checks that all protocols share: names, labels, values of labels, and bounds of time."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from luna_serving.capabilities.metrics.ingest.results import Reason
from luna_serving.samples.identity import NAME_LABEL, SEPARATOR
from luna_serving.wire.pointers import MAX_ECHO, cut

AHEAD_MS: Final = 10 * 60 * 1000
# As Mimir limits them, in UTF-8 bytes: an index holds each of them, and dashboards show them.
MAX_NAME_BYTES: Final = 1_024
MAX_VALUE_BYTES: Final = 2_048
# Control characters: in a name they are accidents, and no tool shows them. A value may hold them, but for NUL, which
# Postgres does not store in texts.
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is taken from an account at an instant."""

    now_ms: int
    """The timestamp of samples that have none."""
    oldest_ms: int
    newest_ms: int
    max_labels: int
    """Labels per series, without the name."""
    max_samples: int
    """Samples, and items, per request."""

    @classmethod
    def at(cls, now_ms: int, retention_ms: int, max_labels: int, max_samples: int) -> "Bounds":
        """The bounds at `now_ms`: from the retention back to ten minutes ahead."""
        return cls(now_ms, now_ms - retention_ms, now_ms + AHEAD_MS, max_labels, max_samples)


class UnusableSeries(Exception):
    """The name or a label of a series is not valid."""

    def __init__(self, detail: str, member: tuple[str, ...] = (), reason: Reason = Reason.INVALID) -> None:
        super().__init__(detail)
        self.detail = detail
        self.member = member
        """`("name",)`, `("labels",)`, or `("labels", NAME)`."""
        self.reason = reason


def checked_key(name: object, pairs: Iterable[tuple[str, object]], max_labels: int) -> bytes:
    """The key of a series (`samples.identity.series_key`) whose name and labels are valid.

    Names are any UTF-8 without control characters, as in Prometheus 3. A label with an empty value is left out.

    Args:
        name: of the metric.
        pairs: labels without `__name__`, in any order.
        max_labels: how many the account may have per series.

    Raises:
        UnusableSeries: what is wrong.
    """
    encoded_name = _name(name, "The metric's name", ("name",))
    labels: dict[str, bytes] = {}
    for label, value in pairs:
        encoded = _label_name(label)
        if label in labels:
            raise UnusableSeries(f"The label {_echo(label)} is given twice.", ("labels", label))
        labels[label] = _value(label, value, encoded)
    present = sorted((label, pair) for label, pair in labels.items() if pair)
    if len(present) > max_labels:
        raise UnusableSeries(
            f"Has {len(present)} labels, and the limit metrics.labels is {max_labels}. Leave labels out.",
            ("labels",),
            Reason.TOO_MANY_LABELS,
        )
    return SEPARATOR.join((encoded_name, *(pair for _, pair in present)))


def _name(name: object, what: str, member: tuple[str, ...]) -> bytes:
    if not isinstance(name, str) or not name:
        raise UnusableSeries(f"{what} must be a non-empty string.", member)
    if _CONTROL.search(name):
        raise UnusableSeries(f"{what} holds a control character: {_echo(name)}.", member)
    encoded = _encoded(name, what, member)
    if len(encoded) > MAX_NAME_BYTES:
        raise UnusableSeries(f"{what} may have {MAX_NAME_BYTES} bytes of UTF-8, and has {len(encoded)}.", member)
    return encoded


# There are few of them, on many series.
@lru_cache(maxsize=10_000)
def _label_name(label: str) -> bytes:
    if label == NAME_LABEL:
        raise UnusableSeries(f"The label {NAME_LABEL} is the metric's name. Give the name once.", ("labels", label))
    return _name(label, "A label's name", ("labels",))


def _value(label: str, value: object, name: bytes) -> bytes:
    """The label and its value, joined; empty for an empty value."""
    if not isinstance(value, str):
        wrong = "must be a string"
    elif not value:
        return b""
    elif "\0" in value:
        wrong = "holds the character NUL"
    elif len(encoded := _encoded(value, "A label's value", ("labels", label))) > MAX_VALUE_BYTES:
        wrong = f"may have {MAX_VALUE_BYTES} bytes of UTF-8, and has {len(encoded)}"
    else:
        return name + SEPARATOR + encoded
    raise UnusableSeries(f"The value of the label {_echo(label)} {wrong}.", ("labels", label))


def _encoded(text: str, what: str, member: tuple[str, ...]) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as e:
        raise UnusableSeries(f"{what} holds a lone surrogate, which UTF-8 does not have.", member) from e


def _echo(text: str) -> str:
    return repr(cut(text, MAX_ECHO))
