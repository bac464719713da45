"""`luna migrate`: bring the database to this release's schema, or wait until another process has done so."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from luna_serving.commands.errors import CommandFailed
from luna_store.platform.schema import head, migrate, serves

if TYPE_CHECKING:
    from luna_serving.commands.servers import Servers

# Seconds between two checks: the longest delay of a pod that waits for its schema.
_PAUSE_S = 1.0


def run(servers: Servers) -> str:
    """Migrate the database; returns the message.

    Raises:
        CommandFailed: the database cannot be reached or migrated.
    """
    try:
        migrate(servers.database_url)
    except (SQLAlchemyError, ValueError) as error:
        raise CommandFailed(f"The database could not be migrated: {first_line(error)}") from error
    return f"The database is at revision {head()}."


def wait(servers: Servers, patience_s: float) -> str:
    """Wait until the database has this release's schema, or a newer one; returns the message.

    Also waits for a database that cannot be reached yet.

    Raises:
        CommandFailed: it took longer than `patience_s`.
    """
    until = time.monotonic() + patience_s
    while True:
        try:
            if serves(servers.database_url):
                return f"The database has the schema of revision {head()}, or a newer one."
            why = "it has an older schema"
        except ValueError as error:
            raise CommandFailed(str(error)) from error
        except SQLAlchemyError as error:
            why = first_line(error)
        if time.monotonic() >= until:
            raise CommandFailed(
                f"The database was not at revision {head()} after {patience_s:g} s: {why}. Run `luna migrate`."
            )
        time.sleep(_PAUSE_S)


def first_line(error: Exception) -> str:
    """The driver's message, without the statement that SQLAlchemy adds."""
    return (str(getattr(error, "orig", None) or error).splitlines() or [repr(error)])[0]
