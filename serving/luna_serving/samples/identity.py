"""The identity of a series: its name and its sorted labels, as bytes."""

from collections.abc import Iterable, Mapping
from typing import Final

# Never part of UTF-8, so it separates texts, whatever they hold.
SEPARATOR: Final = b"\xff"
NAME_LABEL: Final = "__name__"


def series_key(name: str, labels: Mapping[str, str] | Iterable[tuple[str, str]]) -> bytes:
    """The bytes that identify a series of an account: name, then labels sorted by their names.

    A label with an empty value is the same as no label, as in Prometheus' data model.

    Args:
        name: of the metric.
        labels: without `__name__`; any order.
    """
    pairs = labels.items() if isinstance(labels, Mapping) else labels
    parts = [name, *(text for pair in sorted(pairs) if pair[1] for text in pair)]
    return SEPARATOR.join(part.encode() for part in parts)


def read_key(key: bytes) -> tuple[str, dict[str, str]]:
    """The name and the labels of a series; the reverse of `series_key`."""
    name, *rest = (part.decode() for part in key.split(SEPARATOR))
    return name, dict(zip(rest[::2], rest[1::2], strict=True))
