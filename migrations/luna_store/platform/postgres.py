"""Engines for Postgres (psycopg 3). The caller owns the engine and disposes of it."""

from typing import Final

from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

# What a call raises while the server is gone, starts, or does not answer in time. Other errors of SQLAlchemy are among
# them: who can go on without the answer does so whatever the error.
POSTGRES_GONE: Final = (SQLAlchemyError, OSError, TimeoutError)

# The server's keepalives: a client that loses power never closes its connection. Without keepalives Postgres would hold
# its locks, leadership among them, for two hours (Linux' default).
SERVER_KEEPALIVES = "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3"

# How long a query may take before its caller gets a 503: longer than a rebuild waits for a row lock
# (`luna_store.accounts.cache.LOCK_TIMEOUT`), shorter than any request may take.
ANSWER_S = 4.0

# A pod that is frozen in a transaction keeps its account locked for all others, also for the replica that takes over.
# Luna's transactions are idle for no longer than a call of Redis takes to fail.
IDLE_IN_TRANSACTION_S = 30

# `application_name` is this and the process's name; triggers of the audit log read it (`luna_store.audit.actors`).
APPLICATION = "luna/"


def sqlalchemy_url(database_url: str) -> URL:
    """Convert a libpq-style URL (`postgres://`, `postgresql://`) to SQLAlchemy's, with the psycopg 3 driver.

    Raises:
        ValueError: the URL names another database than Postgres.
    """
    url = make_url(database_url)
    if url.get_backend_name() not in {"postgresql", "postgres"}:
        raise ValueError(f"DATABASE_URL must begin with postgresql://, not {url.drivername}://.")
    return url.set(drivername="postgresql+psycopg")


def async_engine(
    database_url: str,
    *,
    actor: str = "luna",
    pool_size: int = 5,
    statement_timeout_s: float = 10.0,
    ping: bool = True,
) -> AsyncEngine:
    """An engine for serving, settlement and the operator.

    Args:
        database_url: where Postgres is.
        actor: whose changes the audit log shows, unless a transaction names another (`luna_store.audit.actors`).
        pool_size: connections kept open; a burst may open the same number in addition.
        statement_timeout_s: the server ends a longer statement, so that no request hangs on a stuck lock.
        ping: check every connection before it is used. Costs one round trip, which a caller that retries anyway
            can save.
    """
    return create_async_engine(
        sqlalchemy_url(database_url),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=ping,
        pool_timeout=5,
        # An error's text goes to the log; digests do not.
        hide_parameters=True,
        connect_args={
            "connect_timeout": 3,
            "application_name": APPLICATION + actor,
            # A server that vanished is noticed within seconds, not when TCP gives up.
            "tcp_user_timeout": 5000,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "options": f"-c statement_timeout={int(statement_timeout_s * 1000)} {SERVER_KEEPALIVES} "
            f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_S}s",
        },
    )


async def ask(engine: AsyncEngine) -> None:
    """Check that Postgres answers and has a schema of Luna's; a database may be replaced by an empty one.

    Raises:
        SQLAlchemyError, OSError: it does not.
    """
    async with engine.connect() as connection:
        await connection.execute(text("SELECT version_num FROM alembic_version"))


def sync_engine(database_url: str) -> Engine:
    """A short-lived engine for migrations."""
    connect_args = {"connect_timeout": 5, "application_name": APPLICATION + "migration"}
    return create_engine(sqlalchemy_url(database_url), connect_args=connect_args)
