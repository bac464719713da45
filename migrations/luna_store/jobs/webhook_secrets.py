"""The secrets that sign an account's webhooks, in the form of Standard Webhooks: `whsec_` and base64."""

import base64
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_store.audit.actors import Actor, acting_as

PREFIX: Final = "whsec_"
# Standard Webhooks asks for 24 to 64.
BYTES: Final = 32
# How long the former secret signs beside the new one.
OVERLAP: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class SigningSecrets:
    """The secrets of an account that are valid now."""

    secret: str
    rotated_at: datetime
    previous: str | None
    """The one before, until `previous_until`."""
    previous_until: datetime | None

    @property
    def valid(self) -> tuple[str, ...]:
        """All that sign, the newest first."""
        return (self.secret,) if self.previous is None else (self.secret, self.previous)


def new_secret() -> str:
    """A random secret."""
    return PREFIX + base64.b64encode(secrets.token_bytes(BYTES)).decode()


_READ = text("""
SELECT secret, rotated_at, CASE WHEN rotated_at + :overlap > now() THEN previous END AS previous
FROM webhook_secrets WHERE account_id = :account_id
""")
_MAKE = text("""
INSERT INTO webhook_secrets (account_id, secret) VALUES (:account_id, :secret) ON CONFLICT (account_id) DO NOTHING
""")
_ROTATE = text("""
INSERT INTO webhook_secrets (account_id, secret) VALUES (:account_id, :secret) ON CONFLICT (account_id)
DO UPDATE SET previous = webhook_secrets.secret, secret = excluded.secret, rotated_at = now()
""")


async def secrets_of(engine: AsyncEngine, account_id: int) -> SigningSecrets:
    """The secrets of an account, which are made if it has none.

    Raises:
        IntegrityError: there is no such account.
    """
    async with engine.begin() as connection:
        found = await _read(connection, account_id)
        if found is None:
            await connection.execute(_MAKE, {"account_id": account_id, "secret": new_secret()})
            found = await _read(connection, account_id)
    return _found(found)


async def rotate(engine: AsyncEngine, account_id: int, actor: Actor) -> SigningSecrets:
    """Make a new secret; the present one signs beside it for `OVERLAP`, and the one before that no longer.

    The audit log shows it as made by the actor.

    Raises:
        IntegrityError: there is no such account.
    """
    async with engine.begin() as connection:
        await acting_as(connection, actor)
        await connection.execute(_ROTATE, {"account_id": account_id, "secret": new_secret()})
        found = await _read(connection, account_id)
    return _found(found)


def _found(found: SigningSecrets | None) -> SigningSecrets:
    if found is None:
        raise LookupError("The account was deleted meanwhile.")
    return found


async def _read(connection: AsyncConnection, account_id: int) -> SigningSecrets | None:
    values = {"account_id": account_id, "overlap": OVERLAP}
    row = (await connection.execute(_READ, values)).one_or_none()
    if row is None:
        return None
    until = row.rotated_at + OVERLAP if row.previous is not None else None
    return SigningSecrets(row.secret, row.rotated_at, row.previous, until)
