"""Migrations from Python: bring a database to this release's schema, or say how far it is from it."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from luna_store.postgres import sync_engine


class SchemaMismatch(Exception):
    """The database's revision is not the one this release was built for; `luna migrate` brings it there."""

    def __init__(self, found: str | None, wanted: str | None) -> None:
        super().__init__(
            f"The database schema is at revision {found or 'none'}, this release needs {wanted}. "
            "Run `luna migrate` with the same DATABASE_URL."
        )
        self.found = found
        self.wanted = wanted


def alembic_config() -> Config:
    """Alembic's configuration: the scripts stand beside this package in a checkout, inside it in a wheel."""
    package = Path(__file__).parent
    inside = package / "alembic"
    config = Config()
    config.set_main_option("script_location", str(inside if inside.is_dir() else package.parent))
    return config


def head() -> str | None:
    """The revision that this release needs."""
    return ScriptDirectory.from_config(alembic_config()).get_current_head()


def migrate(database_url: str, revision: str = "head") -> None:
    """Bring the database to `revision`; safe to call from several processes at once."""
    config = alembic_config()
    engine = sync_engine(database_url)
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
            connection.commit()
    finally:
        engine.dispose()


def require_current(database_url: str) -> None:
    """Check that the database has this release's schema.

    Raises:
        SchemaMismatch: it has an older one, a newer one, or none.
    """
    engine = sync_engine(database_url)
    try:
        with engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    if found != head():
        raise SchemaMismatch(found, head())


def serves(database_url: str) -> bool:
    """Whether this release runs on the database: it has this release's schema, or that of a newer release.

    A revision that this release does not know comes from a newer one, whose changes keep the releases before it
    running (expand, migrate, contract). `require_current` is stricter.
    """
    engine = sync_engine(database_url)
    try:
        with engine.connect() as connection:
            found = MigrationContext.configure(connection).get_current_revision()
    finally:
        engine.dispose()
    older = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()} - {head()}
    return found is not None and found not in older
