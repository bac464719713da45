"""`luna data list` and `luna data rm`."""

import asyncio
import sys
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import httpx
import orjson
from rich.console import Console
from rich.table import Table

from luna_serving.commands.data_client import DataClient, checked
from luna_serving.commands.errors import CommandFailed

COLUMNS = ("set", "state", "type", "files", "bytes", "created", "id")


def list_sets(client: DataClient, state: str | None, *, as_json: bool) -> int:
    """Print the sets of the account.

    Raises:
        CommandFailed: Luna is out of reach, or refuses the call.
    """
    items = _run(_items(client, state))
    if as_json:
        sys.stdout.write(orjson.dumps(items, option=orjson.OPT_INDENT_2).decode() + "\n")
        return 0
    table = Table(show_edge=False, pad_edge=False)
    for column in COLUMNS:
        table.add_column(column, justify="right" if column in {"files", "bytes"} else "left", no_wrap=True)
    for each in items:
        table.add_row(
            each["reference"],
            each["state"],
            each["type"],
            f"{each['file_count']:,}",
            f"{each['bytes']:,}",
            each["created_at"][:19],
            each["dataset_id"],
        )
    Console(width=None if sys.stdout.isatty() else 160).print(table)
    return 0


def remove_sets(client: DataClient, references: Sequence[str]) -> int:
    """Delete sets.

    Raises:
        CommandFailed: one is not there, Luna is out of reach, or refuses the call.
    """
    _run(_removed(client, references))
    return 0


async def _items(client: DataClient, state: str | None) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    async with client.session() as session:
        query = {"limit": "1000"} | ({"state": state} if state else {})
        while True:
            page = checked(await session.get("/datasets", params=query))
            items += page["items"]
            if page["next_cursor"] is None:
                return items
            query["cursor"] = page["next_cursor"]


async def _removed(client: DataClient, references: Sequence[str]) -> None:
    async with client.session() as session:
        for reference in references:
            checked(await session.delete(f"/datasets/{quote(reference, safe='@')}"))
            sys.stdout.write(f"deleted {reference}\n")


def _run(work: Any) -> Any:  # noqa: ANN401  a coroutine
    try:
        return asyncio.run(work)
    except httpx.TransportError as error:
        raise CommandFailed(f"Luna is out of reach: {error or type(error).__name__}.") from error
