"""Keyset cursors of lists: `limit` and `cursor` in, `next_cursor` out.

A cursor is the end of the last page, by the list's sort key. It is opaque, not secret and not signed: a caller that
invents one sees the same account's list from another place. It is validated, so that an invalid one is a 422 and never
reaches a store.
"""

import base64
import binascii
from typing import Annotated, Any, Final, Generic, TypeVar

import orjson
from fastapi import Query
from pydantic import TypeAdapter, ValidationError

from luna_serving.wire import problems
from luna_serving.wire.problems import FieldError

PAGE: Final = 100
LONGEST_PAGE: Final = 1000
MAX_CURSOR: Final = 512
CURE: Final = "Is no cursor of this list. Use `next_cursor` of the page before as it is, or leave it out to begin."

Limit = Annotated[int, Query(ge=1, le=LONGEST_PAGE, description="Items per page, at most.")]
Cursor = Annotated[str | None, Query(max_length=MAX_CURSOR, description="`next_cursor` of the page before.")]

K = TypeVar("K")


class Cursors(Generic[K]):
    """The cursors of one list."""

    def __init__(self, name: str, key: Any) -> None:  # noqa: ANN401  a type form, such as tuple[datetime, UUID]
        """Describe a list.

        Args:
            name: the list's name; a cursor of another list is refused.
            key: the type of the sort key: JSON values, with the bounds that the store needs.
        """
        self._name = name
        self._key: TypeAdapter[K] = TypeAdapter(key)

    def write(self, last: K) -> str:
        """The cursor of the page that follows the item with this key."""
        written = orjson.dumps([self._name, self._key.dump_python(last, mode="json")])
        return base64.urlsafe_b64encode(written).rstrip(b"=").decode()

    def read(self, cursor: str | None) -> K | None:
        """The key in a cursor; None without a cursor.

        Raises:
            Problem: 422.
        """
        if cursor is None:
            return None
        try:
            padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
            name, key = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
            if name == self._name:
                return self._key.validate_python(key)
        except (ValueError, TypeError, binascii.Error, ValidationError):
            pass
        raise problems.invalid(FieldError("/query/cursor", CURE))


def one_start(from_cursor: K | None, given: K | None, parameter: str) -> K | None:
    """The begin of a page, for a list that also takes its sort key as a parameter.

    Raises:
        Problem: 422, both are given.
    """
    if from_cursor is not None and given is not None:
        raise problems.invalid(FieldError(f"/query/{parameter}", "Leave it out with `cursor`, which says the same."))
    return from_cursor if given is None else given
