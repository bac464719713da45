"""Charges: debit, repair and retry, refund. The one owner of the way from a request to units taken or given back."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from luna_serving.access.admission import Admission
from luna_serving.access.denials import Charge, Denials
from luna_serving.access.refunds import Refunds
from luna_serving.wire import problems
from luna_store.quota.debits import Debit, Decision, Standing, StoreUnavailable

T = TypeVar("T")

# A denial whose reason is repaired is tried again once.
TRIES = 2


class Charges:
    """Charges accounts. A gate calls `admit` for a whole batch; everything else calls `charge` or `take`."""

    def __init__(self, admission: Admission, denials: Denials, refunds: Refunds) -> None:
        self._admission = admission
        self._denials = denials
        self._refunds = refunds

    async def charge(self, charge: Charge, attempt: Callable[[], Awaitable[tuple[T, Decision]]]) -> tuple[T, Standing]:
        """Have a charge taken by `attempt`; where an account was not known to Redis, repair it and try again.

        Args:
            charge: what is charged.
            attempt: asks for the debit of `charge` and does what it is for, as `Gate.serve` does.

        Returns:
            What `attempt` did, and how the account stands after the debit.

        Raises:
            Denied: nothing was taken.
            Problem: 401 or 503; or what `attempt` raises.
        """
        for _ in range(TRIES):
            result, decision = await attempt()
            if decision.admitted and decision.standing is not None:
                return result, decision.standing
            denied = await self._denials.explain(charge, decision)
            if denied is not None:
                raise denied
        raise problems.dependencies_gone("The account")

    async def take(self, charge: Charge) -> Standing:
        """Take a charge by itself, outside a gate; with 0 units, ask how the account stands.

        Raises:
            Denied: nothing was taken.
            Problem: 401 or 503.
        """

        async def attempt() -> tuple[None, Decision]:
            decision = (await self._admission.admit([charge.debit]))[0]
            if isinstance(decision, StoreUnavailable):
                raise problems.dependencies_gone("The quota store")
            return None, decision

        return (await self.charge(charge, attempt))[1]

    async def admit(self, debits: Sequence[Debit]) -> list[Decision | StoreUnavailable]:
        """Decide the debits of a batch in one round trip; see `Admission.admit`."""
        return await self._admission.admit(debits)

    def served(self, debit: Debit) -> None:
        """Note that a debit was worth its units: there will be no refund."""
        self._refunds.served(debit)

    def refund_later(self, debit: Debit) -> None:
        """Give a debit back in the background, tried until a store takes it."""
        self._refunds.refund_later(debit)

    def void_later(self, debit: Debit) -> None:
        """As `refund_later`, for a debit of which it is not known whether and where it was taken."""
        self._refunds.void_later(debit)

    async def settle_refunds(self) -> None:
        """Give the refunds under way a last chance: called when the replica stops."""
        await self._refunds.finish()
