"""The arguments of `luna metrics`, and the call of its commands."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final

from luna_serving.commands.errors import CommandFailed
from luna_serving.commands.servers import Servers

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

EPILOG: Final = "LUNA_URL and LUNA_API_KEY name the Luna and the account; by default those of the data folder."


def add_metrics_commands(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    folder: argparse.ArgumentParser,
    rate: Callable[[str], float],
) -> None:
    """Add the parsers of all actions.

    Args:
        actions: of `luna metrics`.
        folder: the parser of --data-dir.
        rate: parses updates per second.
    """
    tail = actions.add_parser("tail", help="show series as they change, until Ctrl-C", parents=[folder], epilog=EPILOG)
    tail.set_defaults(command=run)
    tail.add_argument("selectors", nargs="*", metavar="SELECTOR", help="such as 'cpu{host=\"a\"}'; several are allowed")
    tail.add_argument("--rate", type=rate, default=4.0, metavar="N", help="updates per second (default: %(default)g)")
    tail.add_argument("--alerts", action="store_true", help="show changes of alerts")
    tail.add_argument("--json", action="store_true", help="one JSON object per line, as the messages have them")


def run(arguments: argparse.Namespace) -> int:
    """Run a parsed action; returns the exit status.

    Raises:
        CommandFailed: any error that the caller can correct.
    """
    if not arguments.selectors and not arguments.alerts:
        raise CommandFailed("Name at least one selector, such as cpu, or give --alerts.")
    try:
        from luna_serving.commands.metrics_tail import Subscription, messages
        from luna_serving.commands.metrics_view import JsonLines, Lines, Table
    except ModuleNotFoundError as error:
        if str(error.name).startswith("luna"):
            raise
        raise CommandFailed(f"`luna metrics` needs the serving extra: pip install 'luna[serving]'. {error}.") from error

    servers = Servers(arguments.data_dir)
    wanted = Subscription(arguments.selectors, arguments.rate, arguments.alerts)
    view = JsonLines() if arguments.json else Table() if sys.stdout.isatty() else Lines()
    with view:
        for message in messages(servers.luna_url, servers.api_key, wanted, view.lost):
            view.show(message)
    return 0
