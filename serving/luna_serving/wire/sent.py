"""A request as it came, before it is parsed."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from luna_serving.wire.tabular import JSON


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it came, before it is parsed."""

    body: bytes
    """Decompressed."""
    media_type: str = JSON
    """Of the body, without parameters, in lower case."""
    accept: str = "*/*"
    query: Mapping[str, list[str]] = field(default_factory=dict)
