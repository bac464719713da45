"""A parsed call, as the edge charges it and sends it on."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from luna_serving.wire.problems import FieldError
from luna_store.quota.debits import Grant


@dataclass(frozen=True, slots=True)
class Rendered:
    """An answer that is not plain JSON with status 200."""

    body: bytes
    headers: Sequence[tuple[bytes, bytes]]
    """In lower case, with a content-type if there is a body."""
    status: int = 200


class Work(Protocol):
    """A parsed call of a capability."""

    @property
    def units(self) -> int:
        """What it costs, in units."""

    @property
    def grant(self) -> Grant | None:
        """The grant that the account needs; None for none."""

    @property
    def amounts(self) -> Mapping[str, int]:
        """Its amounts by the limit's name, which the debit compares with the account's limits."""

    @property
    def points(self) -> int:
        """Its weight in a batch."""

    def limit_error(self, limit: str, most: int) -> FieldError:
        """Where the call exceeds a limit of its account, and the cure; called only if it does."""

    @property
    def job(self) -> Any:  # noqa: ANN401  the capability's own
        """What is sent to the replica."""

    def finish(self, result: Any) -> bytes | Rendered:  # noqa: ANN401  the capability's own
        """The answer, from the replica's result; bytes are JSON."""


class JsonWork(Work, Protocol):
    """A parsed call whose answer is a body, without headers of its own."""

    def finish(self, result: Any) -> bytes:  # noqa: ANN401  the capability's own
        """The body."""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A parsed call that names something in a store, such as one of the account's models."""

    at_hand: Callable[[int], Work | None]
    """The whole call for an account, if memory has what it names; else None. Raises Problem 422."""
    look_up: Callable[[int], Awaitable[Work]]
    """The whole call from the store, for an authenticated caller. Raises Problem 422 or 503."""
