"""Runs migrations from Python, and compares a database's schema with this release's.

Revisions expand first and contract a release later, so a release also runs on the schema of the next one: pods of both
exist during a rolling upgrade.
"""

import logging
import re
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from luna_store.platform.postgres import sync_engine

log = logging.getLogger("luna.schema")

# Luna's revisions; Alembic's default ids have twelve hexadecimal digits.
OUR_REVISION = re.compile(r"\d{4}", re.ASCII)


class SchemaMismatch(Exception):
    """The database lacks the schema that this release needs; run `luna migrate`."""

    def __init__(self, found: str | None, wanted: str | None) -> None:
        cure = "Run `luna migrate` with the same DATABASE_URL."
        if found is not None and not OUR_REVISION.fullmatch(found):
            cure = "That is none of Luna's: check DATABASE_URL."
        super().__init__(f"The database schema is at revision {found or 'none'}, this release needs {wanted}. {cure}")
        self.found = found
        self.wanted = wanted


def alembic_config() -> Config:
    """Alembic's configuration. The scripts are next to this package in a checkout, inside it in a wheel."""
    package = Path(__file__).parents[1]
    inside = package / "alembic"
    config = Config()
    config.set_main_option("script_location", str(inside if inside.is_dir() else package.parent))
    return config


@cache
def head() -> str | None:
    """The revision that this release needs."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def migrate(database_url: str, revision: str = "head") -> None:
    """Bring the database to `revision`; safe to call from several processes at once.

    A database that a newer release has migrated stays unchanged: going back to an older release is not an error.
    """
    config = alembic_config()
    engine = sync_engine(database_url)
    try:
        with engine.connect() as connection:
            found = revision_of(connection)
            connection.rollback()
            if _is_newer(found):
                log.warning("The database schema is at revision %s, newer than this release's: left as it is.", found)
                return
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            connection.commit()
    finally:
        engine.dispose()


def require_current(database_url: str) -> None:
    """Check that this release runs on the database; logs if a newer release has migrated it.

    Raises:
        SchemaMismatch: the schema is older than this release needs, missing, or of another program.
    """
    engine = sync_engine(database_url)
    try:
        with engine.connect() as connection:
            found = revision_of(connection)
    finally:
        engine.dispose()
    if _is_newer(found):
        log.warning("The database schema is at revision %s, newer than this release's %s: going on.", found, head())
    if (mismatch := lacking(found)) is not None:
        raise mismatch


def revision_of(connection: Connection) -> str | None:
    """The revision of a database; None if Luna has never migrated it."""
    return MigrationContext.configure(connection).get_current_revision()


def lacking(found: str | None) -> SchemaMismatch | None:
    """Why this release does not run on a database at revision `found`; None if it does."""
    wanted = head()
    return None if found == wanted or _is_newer(found) else SchemaMismatch(found, wanted)


def serves(database_url: str) -> bool:
    """Whether this release runs on the database, see `require_current`."""
    try:
        require_current(database_url)
    except SchemaMismatch:
        return False
    return True


def _is_newer(found: str | None) -> bool:
    """Whether a revision is of a later release, with which earlier releases still run.

    An unknown revision is one of Luna's if its id has four digits, and later if its number is higher.
    """
    return found is not None and OUR_REVISION.fullmatch(found) is not None and found > (head() or "")
