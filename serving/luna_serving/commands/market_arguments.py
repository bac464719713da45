"""The arguments of `luna market`, and the call of its command."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from luna_serving.commands.errors import CommandFailed
from luna_serving.commands.servers import Servers

if TYPE_CHECKING:
    import argparse

INTERVALS: Final = ("1m", "5m", "15m", "30m", "1h", "2h", "4h", "1d", "1w", "1mo")
EPILOG: Final = (
    "DATABASE_URL and the S3_ variables name the stores; by default those of the data folder. The columns of FILES are "
    "symbol, timestamp (or date), open, high, low, close and, each optional, volume and interval. A wrong row is named "
    "with its file and its number, and nothing is imported."
)


def add_market_commands(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], folder: argparse.ArgumentParser
) -> None:
    """Add the parser of `luna market import`."""
    parser = actions.add_parser(
        "import", help="import bars; the market gets a new version", parents=[folder], epilog=EPILOG
    )
    parser.set_defaults(command=run)
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="Parquet or CSV, also .csv.gz and .csv.zst")
    parser.add_argument(
        "--symbols-file", type=Path, metavar="CSV", help="columns symbol, name, exchange, currency, type"
    )
    parser.add_argument(
        "--actions-file",
        type=Path,
        metavar="CSV",
        help="columns symbol, ex_date, kind (split or dividend), value (new shares per old one, or cash per share); "
        "replaces all actions of the symbols that it names",
    )
    parser.add_argument(
        "--interval",
        choices=INTERVALS,
        default="1d",
        help="of files without a column of intervals (default: %(default)s)",
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="leave out all that the market has now; by default bars are added, and those of the same time replaced",
    )
    parser.add_argument("--json", action="store_true", help="answer in JSON")


def run(arguments: argparse.Namespace) -> int:
    """Import."""
    try:
        from luna_serving.commands.market import import_files
    except ModuleNotFoundError as error:
        if str(error.name).startswith("luna"):
            raise
        raise CommandFailed(f"`luna market` needs the serving extra: pip install 'luna[serving]'. {error}.") from error

    answer = asyncio.run(import_files(Servers(arguments.data_dir), arguments))
    if arguments.json:
        import orjson

        sys.stdout.write(orjson.dumps(answer.facts, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        sys.stdout.write(answer.text + "\n")
    return 0
