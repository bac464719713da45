"""Alembic's environment: one migration at a time, with a bounded wait for locks."""

from alembic import context
from sqlalchemy import Connection, text
from sqlalchemy.schema import Index, SchemaItem

from luna_store.platform.partitions import is_partition, partitioned
from luna_store.platform.postgres import sync_engine
from luna_store.platform.tables import collect

# Any fixed number: "luna" in ASCII. Two releases that start together migrate one after the other.
MIGRATION_LOCK = 0x6C756E61
# A migration that cannot get its lock fails and is retried, rather than queueing every query behind it.
LOCK_TIMEOUT = "10s"
STATEMENT_TIMEOUT = "15min"


def is_ours(item: SchemaItem, name: str | None, kind: str, *_: object) -> bool:
    """Leave out partitions and their indexes: `luna_store.platform.partitions` and Postgres create them."""
    del kind
    table = item.table.name if isinstance(item, Index) and item.table is not None else name
    return table is None or not is_partition(table, partitioned(collect()))


def migrate(connection: Connection) -> None:
    """Run the requested revisions, in one transaction under the migration lock."""
    context.configure(
        connection=connection,
        target_metadata=collect(),
        include_object=is_ours,
        compare_server_default=True,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        connection.execute(text(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'"))
        # Wait for the other migration without a limit: lock_timeout is set to 0 for the advisory lock.
        connection.execute(text("SET LOCAL lock_timeout = 0"))
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": MIGRATION_LOCK})
        connection.execute(text(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'"))
        context.run_migrations()


def main() -> None:
    """Take the connection that `luna_store.platform.schema` passes, or open DATABASE_URL for the alembic command."""
    given = context.config.attributes.get("connection")
    if given is not None:
        migrate(given)
        return
    import os

    url = os.environ.get("DATABASE_URL")
    if not url:
        raise SystemExit("DATABASE_URL is not set. Set it to a URL like postgresql://user:password@host/luna.")
    engine = sync_engine(url)
    with engine.connect() as connection:
        migrate(connection)
        connection.commit()


main()
