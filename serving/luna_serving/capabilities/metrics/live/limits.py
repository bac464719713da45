"""How many live connections an account may have, and a replica."""

from typing import Final

from luna_serving.live.hub import Hub
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem
from luna_store.quota.debits import Standing

LIMIT: Final = "metrics.sockets"


class ConnectionLimit:
    """The limits of one ingress replica."""

    def __init__(self, hub: Hub, ceiling: int, most: int) -> None:
        """Wire it.

        Args:
            hub: counts the connections.
            ceiling: the server's own limit of an account, which that of an account can only lower.
            most: of all accounts.
        """
        self._hub = hub
        self._ceiling = ceiling
        self._most = most

    def admit(self, account_id: int, standing: Standing) -> None:
        """Admit one more connection.

        Raises:
            Problem: 429, 503.
        """
        if self._hub.connections >= self._most:
            raise problems.overloaded()
        most = min(self._ceiling, standing.limits.get(LIMIT, self._ceiling))
        if self._hub.of_account(account_id) >= most:
            raise Problem(
                "too-many-connections",
                429,
                "The account has too many live connections.",
                f"{most} are open on this replica. Close some, or watch more selectors by one.",
                {"Retry-After": "5"},
            )
