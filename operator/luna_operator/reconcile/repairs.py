"""What a sweep found to differ from an Account's specification, until a reconciliation has repaired it."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from luna_operator.resources.names import Key

# What nobody but the operator should change. A lost Redis or Secret concerns many, or has Events of its own.
REPORTED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "row": "The row in Postgres differed from the specification and was written again.",
        "members": "The members in Postgres differed from the specification and were written again.",
    }
)


class Repairs:
    """Repairs that are due, by Account."""

    def __init__(self) -> None:
        self._due: dict[Key, frozenset[str]] = {}

    def due(self, key: Key, where: frozenset[str]) -> None:
        """Remember what differs, if it is reported."""
        if reported := where & REPORTED.keys():
            self._due[key] = reported

    def take(self, key: Key) -> tuple[str, ...]:
        """What was repaired, in words; it is forgotten."""
        return tuple(REPORTED[where] for where in sorted(self._due.pop(key, ())))
