"""What the commands that change rows share: the stores, errors as messages, and answers for people and programs."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError
from sqlalchemy.exc import OperationalError, ProgrammingError, SQLAlchemyError

from luna_serving.commands.errors import CommandFailed
from luna_serving.commands.migrate import first_line
from luna_store.accounts.cache import AccountCache
from luna_store.audit.actors import command
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from sqlalchemy.ext.asyncio import AsyncEngine

    from luna_serving.commands.servers import Servers


@dataclass(frozen=True)
class Answer:
    """The result of a command."""

    facts: dict[str, Any] | list[dict[str, Any]]
    """For `--json`."""
    text: str
    """For people."""
    warning: str | None = None
    """A warning, for standard error."""


@dataclass(frozen=True)
class Stores:
    """The open stores of a command."""

    engine: AsyncEngine
    cache: AccountCache


@asynccontextmanager
async def open_stores(servers: Servers, *known: type[Exception]) -> AsyncIterator[Stores]:
    """Open the stores of a command.

    Args:
        servers: where they are.
        known: errors whose message says what to do.

    Raises:
        CommandFailed: any error that the caller can correct.
    """
    try:
        engine = async_engine(servers.database_url, actor=command(), pool_size=1)
        redis = redis_client(servers.redis_url, timeout_s=2.0)
    except ValueError as error:
        raise CommandFailed(str(error)) from error
    try:
        yield Stores(engine, AccountCache(engine, redis))
    except known as error:
        raise CommandFailed(str(error)) from error
    except ProgrammingError as error:
        raise CommandFailed(f"{first_line(error)}. If the database is new, run `luna migrate` first.") from error
    except OperationalError as error:
        raise CommandFailed(f"Postgres is out of reach: {first_line(error)}. Check DATABASE_URL.") from error
    except SQLAlchemyError as error:
        raise CommandFailed(f"Postgres refused: {first_line(error)}") from error
    finally:
        await redis.aclose()
        await engine.dispose()


async def take_effect(cache: AccountCache, accounts: Iterable[int]) -> str | None:
    """Have changes of accounts take effect at once; a warning if Redis is out of reach."""
    try:
        for account_id in accounts:
            await cache.rebuild(account_id)
    except (RedisError, OSError) as error:
        return f"Redis is out of reach ({error}); settlement carries the change over once it is back."
    return None
