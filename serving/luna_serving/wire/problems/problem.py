"""The type of a problem, and of what is wrong with one field."""

from collections.abc import Mapping
from dataclasses import FrozenInstanceError, dataclass, field
from typing import Any, Final

import orjson

TYPE_BASE = "https://luna.dev/problems/"
CONTENT_TYPE = b"application/problem+json"
REALM = 'realm="luna"'


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field."""

    pointer: str
    """RFC 6901 JSON pointer into the request body; empty for the body itself."""
    detail: str
    """What is wrong and what to write instead."""

    def as_dict(self) -> dict[str, str]:
        """The member of `errors` on the wire."""
        return {"pointer": self.pointer, "detail": self.detail}


@dataclass(eq=False)
class Problem(Exception):
    """An answer that is not a success."""

    slug: Final[str]
    status: Final[int]
    title: Final[str]
    detail: Final[str]
    headers: Final[Mapping[str, str]] = field(default_factory=dict)
    extra: Final[Mapping[str, Any]] = field(default_factory=dict)
    """Extension members."""

    def __post_init__(self) -> None:
        Exception.__init__(self, self.detail)

    def __setattr__(self, name: str, value: object) -> None:
        # Not `frozen=True`: it would also refuse `__traceback__`, which contextlib sets on what passes through it.
        if name in self.__dataclass_fields__ and name in vars(self):
            raise FrozenInstanceError(f"cannot assign to field {name!r}")
        super().__setattr__(name, value)

    def body(self) -> bytes:
        """The problem as JSON."""
        return orjson.dumps(
            {
                "type": TYPE_BASE + self.slug,
                "title": self.title,
                "status": self.status,
                "detail": self.detail,
                **self.extra,
            }
        )
