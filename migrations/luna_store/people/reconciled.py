"""Memberships that custom resources give: the operator reads them and makes them exactly so, and no others."""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.accounts.accounts import AccountNotFound
from luna_store.accounts.rows import mark_stale
from luna_store.accounts.tables import Account
from luna_store.people.memberships import Source, give, take_back
from luna_store.people.roles import Role
from luna_store.people.tables import Membership

Roles = Mapping[str, Role]
"""Roles by normalised address."""


class ResourceMembers:
    """The repository of memberships with the source `resource`. Does not own the engine."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def of_accounts(self, account_names: Sequence[str]) -> dict[str, dict[str, Role]]:
        """The members of a few hundred accounts by the accounts' names; accounts without any are left out.

        By name rather than by the resource's uid, because a resource may take over the account of an earlier one.
        """
        query = (
            select(Account.account_name, Membership.email, Membership.role)
            .join(Account, Account.id == Membership.account_id)
            .where(Account.account_name.in_(account_names), Membership.source == Source.RESOURCE.value)
        )
        found: dict[str, dict[str, Role]] = defaultdict(dict)
        async with self._engine.connect() as connection:
            # One statement, without a transaction, as in `Provisioning`.
            rows = await (await connection.execution_options(isolation_level="AUTOCOMMIT")).execute(query)
            for account_name, email, role in rows:
                found[account_name][email] = Role.of(role)
        return dict(found)

    async def apply(self, account_id: int, desired: Roles) -> None:
        """Make the members exactly so; the account then has to be rebuilt.

        Raises:
            AccountNotFound: there is no such account, or it was ended.
        """
        async with self._engine.begin() as connection:
            # The lock comes first: two replicas then write one after the other, and the later one is exact.
            if not await mark_stale(connection, account_id, Account.state != "revoked"):
                raise AccountNotFound(account_id)
            present = await _present(connection, account_id)
            if gone := sorted(present - desired.keys()):
                await take_back(connection, account_id, gone, Source.RESOURCE)
            for email, role in sorted(desired.items()):
                await give(connection, account_id, email, role, Source.RESOURCE)


async def _present(connection: AsyncConnection, account_id: int) -> set[str]:
    of_resource = (Membership.account_id == account_id) & (Membership.source == Source.RESOURCE.value)
    return set(await connection.scalars(select(Membership.email).where(of_resource)))
