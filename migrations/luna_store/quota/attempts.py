"""The ids of debits of one call that HAProxy sent more than once.

HAProxy gives each call an id and sends a call again that got no answer (docs/decisions/0067). Each attempt has a debit
of its own: its id is the call's in the first 96 bits, of which 90 are random, and random in the last 32. So the ledger
finds the other attempts of a call in the index of debit ids, and their refunds do not collide.
"""

import secrets
import uuid
from typing import Final

_OWN_BITS: Final = 32
_OWN: Final = (1 << _OWN_BITS) - 1


def debit_id(call: bytes | None) -> uuid.UUID:
    """The id of a new debit.

    Args:
        call: the call's id as HAProxy writes it, a UUID of version 4; anything else is a call that is sent once.
    """
    if call is not None and len(call) == 36:
        try:
            return uuid.UUID(int=int(call.replace(b"-", b""), 16) & ~_OWN | secrets.randbits(_OWN_BITS))
        except ValueError:
            pass
    return uuid.UUID(bytes=secrets.token_bytes(16), version=4)


def call_of(debit: uuid.UUID) -> int:
    """What the debits of all attempts of a call have in common."""
    return debit.int >> _OWN_BITS


def first_and_last(debit: uuid.UUID) -> tuple[uuid.UUID, uuid.UUID]:
    """The lowest and the highest id that a debit of the same call can have."""
    return uuid.UUID(int=debit.int & ~_OWN), uuid.UUID(int=debit.int | _OWN)
