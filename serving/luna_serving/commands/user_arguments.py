"""The arguments of `luna user`, and the call of its commands."""

from __future__ import annotations

import asyncio
import getpass
import sys
from datetime import timedelta
from typing import TYPE_CHECKING

from luna_serving.commands.durations import duration
from luna_serving.commands.errors import CommandFailed
from luna_serving.commands.servers import Servers

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from luna_serving.commands.stores import Answer
    from luna_serving.commands.user import UserCommands

ROLES = ("viewer", "member", "admin")


def add_user_commands(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    folder: argparse.ArgumentParser,
    command: Callable[[argparse.Namespace], int],
    reference: Callable[[str], int | str],
    saying_why: Callable[[Callable[[str], timedelta]], Callable[[str], timedelta]],
) -> None:
    """Add the parsers of all actions.

    Args:
        actions: of `luna user`.
        folder: the parser of --data-dir.
        command: runs a parsed action.
        reference: parses an account's id or name.
        saying_why: turns a parser's ValueError into a message.
    """

    def add(action: str, text: str, *, email: bool = True) -> argparse.ArgumentParser:
        parser = actions.add_parser(action, help=text, parents=[folder])
        parser.set_defaults(command=command)
        parser.add_argument("--json", action="store_true", help="answer in JSON")
        if email:
            parser.add_argument("email", metavar="EMAIL")
        return parser

    create = add("create", "create a user")
    create.add_argument("--account", type=reference, metavar="NAME|ID", help="make them a member of it")
    create.add_argument("--role", choices=ROLES, default="member", help="in that account (default: member)")
    create.add_argument("--password-stdin", action="store_true", help="read a password from standard input")
    add("list", "list all users with their accounts", email=False)
    add("disable", "bar a user from signing in and end all sessions")
    add("enable", "let a disabled user sign in again")
    password = add("set-password", "set a password and end all sessions; asks for it")
    password.add_argument("--password-stdin", action="store_true", help="read it from standard input")
    for action, text in (
        ("add-to", "give an address a role in an account; an invitation until there is such a user"),
        ("remove-from", "take that role back"),
    ):
        parser = add(action, text)
        parser.add_argument("account", type=reference, metavar="NAME|ID")
        if action == "add-to":
            parser.add_argument("--role", choices=ROLES, default="member", help="(default: member)")
    link = add("link", "make a link with which a person sets a password, once")
    link.add_argument(
        "--lifetime",
        type=saying_why(duration),
        default=timedelta(days=7),
        metavar="TIME",
        help="how long it works, like 15m, 24h (default: 168h)",
    )
    link.add_argument(
        "--url", default="http://127.0.0.1:8000", metavar="URL", help="of this Luna (default: %(default)s)"
    )


def answer(arguments: argparse.Namespace) -> Answer:
    """Run a parsed action.

    Raises:
        CommandFailed: any error that the caller can correct.
    """
    from luna_serving.commands.user import user_commands
    from luna_serving.settings import read_settings

    password = _password(arguments)

    async def call() -> Answer:
        async with user_commands(Servers(arguments.data_dir), read_settings({}).platform.argon2) as commands:
            return await _answer(commands, arguments, password)

    return asyncio.run(call())


async def _answer(commands: UserCommands, arguments: argparse.Namespace, password: str | None) -> Answer:
    from luna_store.people.roles import Role

    match arguments.action:
        case "create":
            return await commands.create(arguments.email, arguments.account, Role.of(arguments.role), password)
        case "list":
            return await commands.list_all()
        case "disable" | "enable":
            return await commands.set_disabled(arguments.email, disabled=arguments.action == "disable")
        case "set-password":
            return await commands.set_password(arguments.email, password or "")
        case "add-to":
            return await commands.add_to(arguments.email, arguments.account, Role.of(arguments.role))
        case "remove-from":
            return await commands.remove_from(arguments.email, arguments.account)
        case _:
            return await commands.link(arguments.email, arguments.lifetime, arguments.url)


def _password(arguments: argparse.Namespace) -> str | None:
    if getattr(arguments, "password_stdin", False):
        # One line: `echo` adds a newline, which is not part of it.
        return sys.stdin.readline().rstrip("\r\n")
    if arguments.action != "set-password":
        return None
    first = getpass.getpass("New password: ")
    if getpass.getpass("The same again: ") != first:
        raise CommandFailed("The two passwords differ. Nothing was changed.")
    return first
