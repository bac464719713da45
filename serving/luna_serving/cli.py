"""`luna`: the command line. Parses arguments and prints results; `commands` and `local` do the work."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from luna_serving.commands import (
    account_flags,
    alert_arguments,
    data_arguments,
    job_arguments,
    market_arguments,
    metrics_arguments,
    portfolio,
    price,
    simulate,
    user_arguments,
)
from luna_serving.commands.durations import duration
from luna_serving.commands.errors import CommandFailed
from luna_serving.commands.servers import Servers
from luna_serving.local.data_folder.caches import cache_folder, keep_bytecode
from luna_serving.local.demo_limits import NAME, RATE_BURST, RATE_PER_SECOND, DemoLimits

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from luna_serving.commands.account import AccountCommands
    from luna_serving.commands.stores import Answer
    from luna_store.accounts.accounts import AccountSpec

DATA_DIR = Path(".luna")
PORT = 8000

T = TypeVar("T")
Number = TypeVar("Number", int, float)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns its exit status."""
    if cache := cache_folder(os.environ):
        keep_bytecode(cache / "bytecode", {})
    arguments = _parser().parse_args(argv)
    command: Callable[[argparse.Namespace], int] = arguments.command
    try:
        return command(arguments)
    except CommandFailed as error:
        print(f"luna: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _up(arguments: argparse.Namespace) -> int:
    try:
        from luna_serving.local.up import UpOptions, up
    except ModuleNotFoundError as error:
        if str(error.name).startswith("luna"):
            raise
        raise CommandFailed(
            f"`luna up` needs the serving extra: pip install 'luna[serving,local]'. {error}."
        ) from error

    limits = DemoLimits(arguments.quota, arguments.rate, arguments.burst)
    return up(UpOptions(arguments.data_dir, arguments.port, limits, arguments.only, arguments.app))


def _migrate(arguments: argparse.Namespace) -> int:
    from luna_serving.commands.migrate import run, wait

    servers = Servers(arguments.data_dir)
    print(run(servers) if arguments.wait is None else wait(servers, arguments.wait))
    return 0


def _settle(arguments: argparse.Namespace) -> int:
    from luna_serving.commands.settle import run

    run(Servers(arguments.data_dir), json_logs=arguments.json)
    return 0


def _account(arguments: argparse.Namespace) -> int:
    from luna_serving.commands.account import account_commands

    async def call() -> Answer:
        async with account_commands(Servers(arguments.data_dir)) as commands:
            return await _answer(commands, arguments)

    return _print(asyncio.run(call()), arguments)


def _user(arguments: argparse.Namespace) -> int:
    return _print(user_arguments.answer(arguments), arguments)


def _print(answer: Answer, arguments: argparse.Namespace) -> int:
    import orjson

    if answer.warning:
        print(f"luna: {answer.warning}", file=sys.stderr)
    print(orjson.dumps(answer.facts, option=orjson.OPT_INDENT_2).decode() if arguments.json else answer.text)
    return 0


async def _answer(commands: AccountCommands, arguments: argparse.Namespace) -> Answer:
    match arguments.action:
        case "create":
            return await commands.create(_spec(arguments))
        case "show":
            return await commands.show(arguments.account)
        case "list":
            return await commands.list_all()
        case "rotate-key":
            return await commands.rotate_key(arguments.account, arguments.overlap)
        case "audit":
            return await commands.audit(arguments.account, arguments.last)
        case "suspend":
            return await commands.set_state(arguments.account, "suspended")
        case "resume":
            return await commands.set_state(arguments.account, "active")
        case _:
            return await commands.delete(arguments.account, purge=arguments.purge)


def _spec(arguments: argparse.Namespace) -> AccountSpec:
    from luna_store.accounts.accounts import AccountSpec
    from luna_store.quota.windows import QuotaWindow

    given = {
        "display_name": arguments.display_name,
        "quota_limit": arguments.quota,
        "quota_window": arguments.window and QuotaWindow(arguments.window),
        "rate_per_second": arguments.rate,
        "rate_burst": arguments.burst,
        "expires_at": arguments.expires_at,
    }
    try:
        tier = account_flags.tier_of(arguments.tier)
        given["limits"] = {**tier.get("limits", {}), **account_flags.limits_of(arguments.limit)}
        given["allowed"] = account_flags.over_tier(account_flags.allowed(arguments.allow, arguments.model), tier)
        set_here = {field: value for field, value in given.items() if value is not None}
        return AccountSpec(arguments.name, **{**tier, **set_here})
    except ValueError as error:
        raise CommandFailed(str(error)) from error


def _saying_why(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Turn a ValueError into argparse's error message."""

    def checked(text: str) -> T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return checked


def _number(kind: type[Number], low: Number, high: Number, *, above: bool = False) -> Callable[[str], Number]:
    def parse(text: str) -> Number:
        try:
            number = kind(text)
        except ValueError:
            number = None
        if number is None or not low <= number <= high or (above and number == low):
            what = "a whole number" if kind is int else "a number"
            raise ValueError(f"{text!r} is not {what} {'above' if above else 'of at least'} {low} and up to {high}.")
        return number

    return _saying_why(parse)


def _reference(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() else text


def _name(text: str) -> str:
    if text.isascii() and text.isdigit():
        raise ValueError(f"{text!r} would be taken for an id; choose a name such as team/{text}.")
    return text


def _instant(text: str) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{text!r} is no instant; write it like 2027-01-31T12:00:00Z.") from None
    return instant if instant.tzinfo else instant.replace(tzinfo=UTC)


_quota = _number(int, 0, 2**31 - 1)
_rate = _number(float, 0, 1e6, above=True)
_burst = _number(int, 1, 2**31 - 1)
_last = _number(int, 1, 10_000)
_listed = _number(int, 1, job_arguments.MOST_LISTED)
_patience = _number(float, 0, 86_400)
_updates = _number(float, 0.1, 10)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("luna", description="Luna serves time-series models to many teams.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    folder = argparse.ArgumentParser(add_help=False)
    folder.add_argument(
        "--data-dir",
        type=Path,
        default=DATA_DIR,
        metavar="D",
        help="data folder of `luna up`, where DATABASE_URL, REDIS_URL and LUNA_PEPPERS come from unless they are "
        "set (default: %(default)s)",
    )
    up = commands.add_parser("up", help="run everything on this machine", parents=[folder])
    up.set_defaults(command=_up)
    up.add_argument(
        "--port", type=_number(int, 0, 65_535), default=PORT, metavar="N", help="0 for any free one (default: 8000)"
    )
    up.add_argument("--quota", type=_quota, metavar="N", help=f"units for {NAME} (500 at its first start)")
    up.add_argument("--rate", type=_rate, metavar="R", help=f"its calls per second (first {RATE_PER_SECOND:g})")
    up.add_argument("--burst", type=_burst, metavar="N", help=f"its calls at once (first {RATE_BURST})")
    up.add_argument("--only", default="", metavar="A,B", help="capabilities to serve (default: all)")
    up.add_argument(
        "--app", default="luna_serving.app", metavar="MODULE", help="module with CAPABILITIES (default: %(default)s)"
    )
    migrate = commands.add_parser("migrate", help="bring the database to this release's schema", parents=[folder])
    migrate.set_defaults(command=_migrate)
    migrate.add_argument(
        "--wait", type=_patience, metavar="SECONDS", help="change nothing: wait until the database has been migrated"
    )
    settle = commands.add_parser("settle", help="book usage events from Redis until stopped", parents=[folder])
    settle.set_defaults(command=_settle)
    settle.add_argument("--json", action="store_true", help="log one JSON object per line")
    account = commands.add_parser("account", help="create and change accounts")
    _add_account_commands(account.add_subparsers(required=True, dest="action", metavar="ACTION"), folder)
    user = commands.add_parser("user", help="create people who sign in, and give them roles in accounts")
    actions = user.add_subparsers(required=True, dest="action", metavar="ACTION")
    user_arguments.add_user_commands(actions, folder, _user, _reference, _saying_why)
    jobs = commands.add_parser("jobs", help="submit, list, watch, cancel and retry jobs of a running Luna")
    actions = jobs.add_subparsers(required=True, dest="action", metavar="ACTION")
    labelled = _saying_why(job_arguments.label)
    job_arguments.add_job_commands(actions, folder, job_arguments.run, _listed, labelled)
    metrics = commands.add_parser("metrics", help="show series of a running Luna as they change")
    actions = metrics.add_subparsers(required=True, dest="action", metavar="ACTION")
    metrics_arguments.add_metrics_commands(actions, folder, _updates)
    alerts = commands.add_parser("alerts", help="list rules and alerts of a running Luna, import rule files")
    alert_arguments.add_alert_commands(alerts.add_subparsers(required=True, dest="action", metavar="ACTION"), folder)
    simulate.add_simulate(commands, folder)
    portfolio.add_portfolio(commands, folder)
    price.add_price(commands, folder)
    data = commands.add_parser("data", help="check data sets before they are uploaded")
    data_arguments.add_data_commands(data.add_subparsers(required=True, dest="action", metavar="ACTION"))
    market = commands.add_parser("market", help="import prices into the server's market")
    market_arguments.add_market_commands(market.add_subparsers(required=True, dest="action", metavar="ACTION"), folder)
    return parser


def _add_account_commands(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], folder: argparse.ArgumentParser
) -> None:
    def add(action: str, text: str, *, reference: bool = True) -> argparse.ArgumentParser:
        parser = actions.add_parser(action, help=text, parents=[folder])
        parser.set_defaults(command=_account)
        parser.add_argument("--json", action="store_true", help="answer in JSON")
        if reference:
            parser.add_argument("account", type=_reference, metavar="NAME|ID")
        return parser

    create = add("create", "create an account and show its key once", reference=False)
    create.add_argument("name", type=_saying_why(_name), metavar="NAME", help="unique, such as team/web")
    create.add_argument("--display-name", metavar="TEXT")
    create.add_argument("--tier", metavar="T", help="free, pro or premium; what is given beside it wins")
    create.add_argument("--quota", type=_quota, metavar="N", help="units (series) per window (default: 500)")
    create.add_argument("--window", choices=("Lifetime", "Day", "Month"), help="(default: Lifetime)")
    create.add_argument("--rate", type=_rate, metavar="R", help="calls per second (default: 50)")
    create.add_argument("--burst", type=_burst, metavar="N", help="calls at once (default: 100)")
    create.add_argument("--model", action="append", metavar="M", help="one that it may use; repeat (default: all)")
    create.add_argument(
        "--allow",
        action="append",
        type=_saying_why(account_flags.allow),
        metavar="CAPABILITY=NAME,...",
        help="names that it may use; * for all; repeat. Without an entry a capability is closed (default: all open)",
    )
    create.add_argument(
        "--limit",
        action="append",
        type=_saying_why(account_flags.limit),
        metavar="NAME=N",
        help=account_flags.limit_help(),
    )
    create.add_argument("--expires-at", type=_saying_why(_instant), metavar="ISO", help="(default: never)")
    add("show", "show an account")
    add("list", "list all accounts", reference=False)
    rotate = add("rotate-key", "issue a new key and show it once")
    rotate.add_argument(
        "--overlap",
        type=_saying_why(duration),
        default=timedelta(hours=24),
        metavar="TIME",
        help="how long the old key stays valid, like 90s, 15m, 24h, 0s (default: 24h)",
    )
    audit = add("audit", "show who changed an account, its keys and its models")
    audit.add_argument("--last", type=_last, default=50, metavar="N", help="entries (default: %(default)s)")
    add("suspend", "refuse an account's calls until it is resumed")
    add("resume", "accept a suspended account's calls again")
    delete = add("delete", "end an account for good; row and ledger are kept")
    delete.add_argument("--purge", action="store_true", help="remove row and ledger as well")


if __name__ == "__main__":
    sys.exit(main())
