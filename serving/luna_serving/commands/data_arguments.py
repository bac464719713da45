"""The arguments of `luna data`, and the call of its commands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse

DATA_DIR = Path(".luna")
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
    check.add_argument("--html", type=Path, metavar="FILE", help="also write the report as a page for a browser")
    push = _remote(actions, "push", "upload a set, resume where it was cut off, and wait for the verdict")
    push.set_defaults(command=_push)
    push.add_argument("paths", nargs="+", type=Path, metavar="FOLDER|FILE", help="a folder, or files of one set")
    push.add_argument("--name", help="of the set (default: the name of the folder or file)")
    push.add_argument("--type", choices=TYPES, help="of the set (default: guessed)")
    push.add_argument("--contract", type=Path, metavar="FILE", help="contract as JSON (default: guessed)")
    push.add_argument("--at-once", type=int, default=8, metavar="N", help="files sent at once (default: %(default)s)")
    push.add_argument("--no-wait", action="store_true", help="do not wait for the verdict")
    push.add_argument("--json", action="store_true", help="print the status as JSON")
    listed = _remote(actions, "list", "show the sets of the account, the newest first")
    listed.set_defaults(command=_list)
    listed.add_argument("--state", metavar="STATE", help="only sets in this state, such as valid")
    listed.add_argument("--json", action="store_true", help="answer in JSON")
    removed = _remote(actions, "rm", "delete sets")
    removed.set_defaults(command=_rm)
    removed.add_argument(
        "references", nargs="+", metavar="SET", help="an id, name@version, or a name: all its versions"
    )


def _remote(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text)
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=DATA_DIR,
        metavar="D",
        help="data folder of `luna up`, where LUNA_URL and LUNA_API_KEY come from unless they are set "
        "(default: %(default)s)",
    )
    return parser


def _push(arguments: argparse.Namespace) -> int:
    from luna_serving.commands.data_client import DataClient
    from luna_serving.commands.data_push import PushOptions, push

    options = PushOptions(
        arguments.paths,
        arguments.name,
        arguments.type,
        arguments.contract,
        arguments.at_once,
        not arguments.no_wait,
        arguments.json,
    )
    return push(DataClient.of(arguments.data_dir), options)


def _list(arguments: argparse.Namespace) -> int:
    from luna_serving.commands.data_client import DataClient
    from luna_serving.commands.data_library import list_sets

    return list_sets(DataClient.of(arguments.data_dir), arguments.state, as_json=arguments.json)


def _rm(arguments: argparse.Namespace) -> int:
    from luna_serving.commands.data_client import DataClient
    from luna_serving.commands.data_library import remove_sets

    return remove_sets(DataClient.of(arguments.data_dir), arguments.references)


def _check(arguments: argparse.Namespace) -> int:
    from luna_serving.commands.data_check import CheckOptions, check

    return check(
        CheckOptions(arguments.paths, arguments.type, arguments.contract, arguments.json, arguments.all, arguments.html)
    )
