"""A call as its capability has parsed it: what the edge charges and sends on without knowing what it is."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from luna_serving.wire.problems import FieldError
from luna_store.quota.debits import Grant


class Work(Protocol):
    """A parsed call of a capability."""

    @property
    def units(self) -> int:
        """What it costs."""

    @property
    def grant(self) -> Grant | None:
        """What the account must be allowed; None where every account is."""

    @property
    def amounts(self) -> Mapping[str, int]:
        """How much of each limited thing it holds, by the limit's name; held against the account's own limits."""

    @property
    def points(self) -> int:
        """Its weight in a batch."""

    def limit_error(self, limit: str, most: int) -> FieldError:
        """Where the call exceeds a limit of its account, and the cure; asked only where it does."""

    @property
    def job(self) -> Any:  # noqa: ANN401  the capability's own
        """What travels to the replica."""

    def finish(self, result: Any) -> bytes:  # noqa: ANN401  the capability's own
        """The body of the answer."""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A parsed call that names what a store keeps, such as one of the account's models."""

    at_hand: Callable[[int], Work | None]
    """For an account: the whole call, where memory is enough. Raises Problem 422."""
    look_up: Callable[[int], Awaitable[Work]]
    """The same by asking the store, for a caller who is known. Raises Problem 422 or 503."""
