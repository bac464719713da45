"""The arguments of `luna data`, and the call of its commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

TYPES = ("series", "ohlcv", "xray")


def add_data_commands(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the parsers of all actions.

    Args:
        actions: of `luna data`.
    """
    check = actions.add_parser("check", help="validate files on this machine as an upload would")
    check.set_defaults(command=_check)
    check.add_argument("paths", nargs="+", type=Path, metavar="FOLDER|FILE", help="a folder, or files of one set")
    check.add_argument("--type", choices=TYPES, help="of the set (default: guessed)")
    check.add_argument("--contract", type=Path, metavar="FILE", help="contract as JSON (default: guessed)")
    check.add_argument("--json", action="store_true", help="print the report as JSON")
    check.add_argument("--all", type=Path, metavar="FILE", help="also write every finding, a JSON object per line")


def _check(arguments: argparse.Namespace) -> int:
    from luna_serving.commands.data_check import CheckOptions, check

    return check(CheckOptions(arguments.paths, arguments.type, arguments.contract, arguments.json, arguments.all))
