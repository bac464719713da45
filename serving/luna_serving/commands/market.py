"""`luna market import`: writes to the stores themselves, so that no server has to take gigabytes over HTTP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from luna_serving.capabilities.market.importing import publishing
from luna_serving.capabilities.market.importing.refusals import ImportRefused
from luna_serving.capabilities.market.importing.stores import import_into
from luna_serving.commands.errors import CommandFailed
from luna_serving.commands.migrate import first_line
from luna_serving.commands.stores import Answer
from luna_serving.objects.errors import StoreGone, StoreRefused
from luna_serving.prices.intervals import Interval
from luna_store.prices.publishing import MarketChanged

if TYPE_CHECKING:
    import argparse

    from luna_serving.commands.servers import Servers


async def import_files(servers: Servers, arguments: argparse.Namespace) -> Answer:
    """Import files into the server's market.

    Raises:
        CommandFailed: any error that the caller can correct.
    """
    order = publishing.Order(
        arguments.files,
        symbols=arguments.symbols_file,
        actions=arguments.actions_file,
        interval=Interval(arguments.interval),
        replace=arguments.replace,
    )
    try:
        imported = await import_into(servers.database_url, servers.objects, order)
    except (ImportRefused, MarketChanged, StoreGone, StoreRefused, ValueError) as error:
        raise CommandFailed(str(error)) from error
    except SQLAlchemyError as error:
        raise CommandFailed(f"Postgres: {first_line(error)}. Check DATABASE_URL, and run `luna migrate`.") from error
    return Answer(facts_of(imported), text_of(imported))


def facts_of(imported: publishing.Imported) -> dict[str, object]:
    """For `--json`."""
    return {
        "data_version": imported.data_version,
        "bars": imported.bars,
        "symbols": imported.symbols,
        "bars_read": imported.read,
        "bars_added": imported.added,
        "bars_replaced": imported.replaced,
        "seconds": round(imported.seconds, 3),
        "seconds_by_step": {step: round(seconds, 3) for step, seconds in imported.parts.items()},
    }


def text_of(imported: publishing.Imported) -> str:
    """For people."""
    return (
        f"Version {imported.data_version} of the market: {imported.bars:,} bars of {imported.symbols:,} symbols. "
        f"{imported.read:,} bars read, {imported.added:,} added and {imported.replaced:,} replaced, in "
        f"{imported.seconds:.1f} s."
    )
