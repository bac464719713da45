"""Whether an account may read the server's market: `allowed.market` names it, `server`."""

import uuid
from typing import Final

from luna_serving.access.charges import Charges
from luna_serving.access.credentials import Credential
from luna_serving.access.denials import Charge
from luna_serving.access.denied import Denied
from luna_serving.prices.located import SERVER
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem
from luna_store.quota.debits import Debit, Grant

MARKET: Final = "market"
GRANT: Final = Grant(MARKET, SERVER)
_SLUG: Final = problems.not_allowed(MARKET, SERVER).slug


async def refusal(charges: Charges, account_id: int, credential: Credential, route: str) -> Problem | None:
    """Why the account may not read the server's market; None if it may. Costs nothing.

    Raises:
        Denied: the account may not call at all.
        Problem: 401 or 503.
    """
    question = Debit(account_id, credential.key_prefix, credential.key_digests, 0, uuid.uuid4(), route, GRANT)
    try:
        await charges.take(Charge(credential, question))
    except Denied as denied:
        if denied.problem.slug != _SLUG:
            raise
        return denied.problem
    return None
