"""Whose last charge was taken. Work without effects may begin for them while the next charge is under way.

A caller whose charge is refused leaves at once, so that a caller without quota, rate or a valid key has at most one
batch computed for each charge that it has paid.
"""

from typing import Final

from luna_store.quota.debits import Debit, Decision

REMEMBERED: Final = 10_000

Payer = tuple[int, str, tuple[str, ...]]


class Payers:
    """The callers whose last charge was taken, by account and key."""

    def __init__(self) -> None:
        # In the order in which they paid last.
        self._paid: dict[Payer, None] = {}

    def note(self, debit: Debit, decision: Decision) -> None:
        """Remember how a charge ended."""
        payer = _payer(debit)
        self._paid.pop(payer, None)
        if decision.admitted:
            self._paid[payer] = None
            if len(self._paid) > REMEMBERED:
                del self._paid[next(iter(self._paid))]

    def paid(self, debit: Debit) -> bool:
        """Whether the last charge of its caller was taken."""
        return _payer(debit) in self._paid


def _payer(debit: Debit) -> Payer:
    return debit.account_id, debit.key_prefix, debit.key_digests
