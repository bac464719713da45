"""`luna migrate`: bring the database to this release's schema."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from luna_serving.commands.errors import CommandFailed
from luna_store.schema import head, migrate

if TYPE_CHECKING:
    from luna_serving.commands.servers import Servers


def run(servers: Servers) -> str:
    """Migrate; returns what to say about it.

    Raises:
        CommandFailed: the database cannot be reached or migrated.
    """
    try:
        migrate(servers.database_url)
    except (SQLAlchemyError, ValueError) as error:
        raise CommandFailed(f"The database could not be migrated: {first_line(error)}") from error
    return f"The database is at revision {head()}."


def first_line(error: Exception) -> str:
    """The driver's own words, without the statement that SQLAlchemy adds."""
    return (str(getattr(error, "orig", None) or error).splitlines() or [repr(error)])[0]
