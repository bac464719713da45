"""Charges: debit, repair and retry, refund. All units of requests are taken and given back here."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from luna_serving.access.admission import Admission
from luna_serving.access.denials import Charge, Denials
from luna_serving.access.refunds import Refunds
from luna_serving.wire import problems
from luna_store.quota.debits import Debit, Decision, Standing, StoreUnavailable

T = TypeVar("T")

# A debit is tried again once after the reason of its denial was repaired.
TRIES = 2


class Charges:
    """Charges accounts. A gate calls `admit` for a batch; all others call `charge` or `take`."""

    def __init__(self, admission: Admission, denials: Denials, refunds: Refunds) -> None:
        self._admission = admission
        self._denials = denials
        self._refunds = refunds

    async def charge(self, charge: Charge, attempt: Callable[[], Awaitable[tuple[T, Decision]]]) -> tuple[T, Standing]:
        """Take a charge with `attempt`; if Redis does not know the account, rebuild it and try again.

        Args:
            charge: the charge to take.
            attempt: debits `charge` and does the work, as `Gate.serve` does.

        Returns:
            The result of `attempt`, and the account's standing after the debit.

        Raises:
            Denied: nothing was taken.
            Problem: 401 or 503; or what `attempt` raises.
        """
        for _ in range(TRIES):
            result, decision = await attempt()
            if decision.admitted and decision.standing is not None:
                self._denials.owners.recognised(charge.credential, charge.debit.account_id)
                return result, decision.standing
            denied = await self._denials.explain(charge, decision)
            if denied is not None:
                raise denied
        raise problems.dependencies_gone("The account")

    async def take(self, charge: Charge) -> Standing:
        """Take a charge outside a gate; with 0 units, read the account's standing.

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
        """Record that the call of a debit was served: no refund follows."""
        self._refunds.served(debit)

    def refund_later(self, debit: Debit) -> None:
        """Refund a debit in the background; retries until a store takes the refund."""
        self._refunds.refund_later(debit)

    def void_later(self, debit: Debit) -> None:
        """As `refund_later`, for a debit that may or may not have been taken, in either store."""
        self._refunds.void_later(debit)

    async def settle_refunds(self) -> None:
        """Wait for pending refunds, for a bounded time; called when the replica stops."""
        await self._refunds.finish()
