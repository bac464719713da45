"""`luna account`: manages accounts without Kubernetes.

An operator owns the accounts of its custom resources, and reverts changes that are made here.
"""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from luna_serving.commands.errors import CommandFailed
from luna_serving.commands.stores import Answer, open_stores, take_effect
from luna_store import limits
from luna_store.accounts.accounts import AccountExists, AccountInfo, AccountNotFound, Accounts, AccountSpec
from luna_store.accounts.api_keys import PepperMissing, Peppers
from luna_store.audit.log import Change, Wanted, page
from luna_store.grants import ALL

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from datetime import datetime, timedelta

    from sqlalchemy.ext.asyncio import AsyncEngine

    from luna_serving.commands.servers import Servers
    from luna_store.accounts.cache import AccountCache


class AccountCommands:
    """The commands. Each change takes effect at once: it rebuilds the account's keys in Redis."""

    def __init__(self, accounts: Accounts, cache: AccountCache, engine: AsyncEngine) -> None:
        self._accounts = accounts
        self._cache = cache
        self._engine = engine

    async def create(self, spec: AccountSpec) -> Answer:
        """Make an account and show its key, which is not shown again."""
        account_id, key = await self._accounts.create(spec)
        return await self._with_key(account_id, key.secret, f"Account {account_id} ({spec.account_name}) was created.")

    async def rotate_key(self, reference: int | str, overlap: timedelta) -> Answer:
        """Issue a new key and show it; it is not shown again."""
        account_id, key = await self._accounts.rotate_key(reference, overlap)
        old = f"The old one ends in {overlap}." if overlap else "The old one has ended."
        return await self._with_key(account_id, key.secret, f"Account {account_id} has a new key. {old}")

    async def _with_key(self, account_id: int, secret: str, text: str) -> Answer:
        warning = await self._take_effect(account_id)
        facts = _facts(await self._accounts.get(account_id)) | {"api_key": secret}
        return Answer(facts, f"{text}\nIts key, shown only now: {secret}", warning)

    async def show(self, reference: int | str) -> Answer:
        """Show an account, without the secrets of its keys."""
        account = await self._accounts.get(reference)
        return Answer(_facts(account), _described(account))

    async def list_all(self) -> Answer:
        """List all accounts."""
        rows = await self._accounts.names()
        facts = [{"id": number, "account_name": name, "state": state} for number, name, state in rows]
        return Answer(facts, "\n".join(f"{number:>6}  {state:<9}  {name}" for number, name, state in rows))

    async def audit(self, reference: int | str, last: int) -> Answer:
        """Show the newest entries of the audit log, the oldest of them first; also of an account that was purged."""
        account_id = reference if isinstance(reference, int) else (await self._accounts.get(reference)).id
        entries = (await page(self._engine, Wanted(account_id=account_id), limit=last))[::-1]
        text = "\n".join(_changed(entry) for entry in entries)
        return Answer([asdict(entry) for entry in entries], text or f"The audit log has nothing of {reference}.")

    async def set_state(self, reference: int | str, state: str) -> Answer:
        """Suspend or resume an account."""
        account = await self._accounts.get(reference)
        if account.state == "revoked":
            raise CommandFailed(f"Account {account.id} ({account.account_name}) was deleted; make a new one.")
        await self._accounts.update(account.id, state=state)
        warning = await self._take_effect(account.id)
        facts = _facts(await self._accounts.get(account.id))
        return Answer(facts, f"Account {account.id} ({account.account_name}) is {state}.", warning)

    async def delete(self, reference: int | str, *, purge: bool) -> Answer:
        """End an account; its row and ledger stay unless `purge`.

        Raises:
            CommandFailed: Redis is out of reach, and would continue to serve an account that is to be purged.
        """
        name = (await self._accounts.get(reference)).account_name
        account_id, digests = await self._accounts.delete(reference, retain=True)
        warning = await self._take_effect(account_id)
        ended = f"Account {account_id} ({name}) is revoked"
        if not purge:
            facts = {"id": account_id, "account_name": name, "state": "revoked"}
            return Answer(facts, f"{ended}; its row and its ledger are kept.", warning)
        if warning:
            raise CommandFailed(f"{ended}, but not purged: {warning} Purge it when Redis is back.")
        await self._accounts.delete(account_id, retain=False)
        await self._cache.forget(account_id, digests)
        facts = {"id": account_id, "account_name": name, "state": "purged"}
        return Answer(facts, f"Account {account_id} ({name}) and its ledger were deleted.")

    async def _take_effect(self, account_id: int) -> str | None:
        return await take_effect(self._cache, [account_id])


@asynccontextmanager
async def account_commands(servers: Servers) -> AsyncIterator[AccountCommands]:
    """Open the stores that the commands need.

    Raises:
        CommandFailed: any error that the caller can correct.
    """
    try:
        peppers = Peppers.parse(servers.peppers)
    except PepperMissing as error:
        raise CommandFailed(str(error)) from error
    async with open_stores(servers, AccountExists, AccountNotFound) as stores:
        yield AccountCommands(Accounts(stores.engine, peppers), stores.cache, stores.engine)


def _facts(account: AccountInfo) -> dict[str, Any]:
    facts = asdict(account) | {"allowed_models": account.allowed_models, "limits": limits.in_force(account.limits)}
    return facts | {"keys": [{**asdict(key), "state": key.state} for key in account.keys]}


def _described(account: AccountInfo) -> str:
    left = max(0, account.quota_limit - account.quota_used)
    lines = [
        ("account", f"{account.id} {account.account_name}"),
        ("state", account.state),
        ("quota", f"{account.quota_used} used, {left} left of {account.quota_limit}, {account.quota_window}"),
        ("rate", f"{account.rate_per_second:g} per second, burst {account.rate_burst}"),
        *(("allowed", _allowed(*each)) for each in account.allowed.items()),
        *(("limit", f"{name} {value}") for name, value in limits.in_force(account.limits).items()),
        ("expires", account.expires_at.isoformat() if account.expires_at else "never"),
        ("created", account.created_at.isoformat(timespec="seconds")),
        *(("key", f"{key.prefix} {key.state.lower()}{_until(key.expires_at)}") for key in account.keys),
    ]
    return "\n".join(f"{name:<8} {value}" for name, value in lines)


def _changed(entry: Change) -> str:
    names = [*(entry.before or {}), *(name for name in entry.after or {} if name not in (entry.before or {}))]
    values = ", ".join(f"{name} {_value(entry.before, name)} -> {_value(entry.after, name)}" for name in names)
    who = f"{entry.at.isoformat(timespec='seconds')}  {entry.actor:<16} {entry.action:<16} {entry.subject}"
    return f"{who}  {values}".rstrip()


def _value(values: dict[str, Any] | None, name: str) -> str:
    return "-" if values is None or values.get(name) is None else str(values[name])


def _allowed(capability: str, names: Sequence[str]) -> str:
    which = "others" if capability == ALL else capability
    return f"{which}: {'all' if ALL in names else ', '.join(names) or 'nothing'}"


def _until(end: datetime | None) -> str:
    return f", ends {end.isoformat(timespec='seconds')}" if end else ""
