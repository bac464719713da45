"""The arguments of `luna jobs`, and the call of its commands."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from luna_serving.commands.errors import CommandFailed
from luna_serving.commands.servers import Servers

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    from luna_serving.commands.jobs import Answer, JobCommands

EPILOG: Final = (
    "LUNA_URL and LUNA_API_KEY name the Luna and the account; by default those of the data folder. The exit status "
    "of a job that is watched is 0 if it succeeded, 3 if it failed, 4 if it was cancelled, 5 if it expired."
)
STATES: Final = ("queued", "running", "succeeded", "failed", "cancelled", "expired")
MOST_LISTED: Final = 1000


def label(text: str) -> tuple[str, str]:
    """Read `desk=fx`.

    Raises:
        ValueError: it has no `=`.
    """
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise ValueError(f"{text!r} is no label; write it like desk=fx.")
    return name, value


def add_job_commands(
    actions: argparse._SubParsersAction[argparse.ArgumentParser],
    folder: argparse.ArgumentParser,
    command: Callable[[argparse.Namespace], int],
    count: Callable[[str], int],
    labelled: Callable[[str], tuple[str, str]],
) -> None:
    """Add the parsers of all actions.

    Args:
        actions: of `luna jobs`.
        folder: the parser of --data-dir.
        command: runs a parsed action.
        count: parses how many jobs to list.
        labelled: `label`, with its errors as argparse's.
    """

    def add(action: str, text: str, *, job: bool = True) -> argparse.ArgumentParser:
        parser = actions.add_parser(action, help=text, parents=[folder], epilog=EPILOG)
        parser.set_defaults(command=command)
        parser.add_argument("--json", action="store_true", help="answer in JSON")
        if job:
            parser.add_argument("job", metavar="ID")
        return parser

    submit = add("submit", "create a job", job=False)
    submit.add_argument("kind", metavar="KIND", help="such as kalman/fit")
    submit.add_argument("parameters", metavar="FILE", help="JSON, the body of the route of that name; - is stdin")
    submit.add_argument("--priority", type=int, metavar="N", help="-100 to 100 (default: 0)")
    submit.add_argument("--deadline", metavar="ISO", help="such as 2027-01-31T12:00:00Z; the job expires then")
    submit.add_argument("--label", type=labelled, action="append", default=[], metavar="KEY=VALUE", help="repeat")
    submit.add_argument("--webhook", metavar="URL", help="gets a message when the job ends")
    submit.add_argument("--idempotency-key", metavar="KEY", help="sent again, it creates no second job")
    submit.add_argument("--validate-only", action="store_true", help="check it and show its cost; create nothing")
    listed = add("list", "list jobs, the newest first", job=False)
    listed.add_argument("--status", choices=STATES, action="append", default=[], help="repeat")
    listed.add_argument("--kind", metavar="KIND")
    listed.add_argument("--label", type=labelled, action="append", default=[], metavar="KEY=VALUE", help="repeat")
    listed.add_argument("--limit", type=count, default=20, metavar="N", help="(default: %(default)s)")
    add("watch", "show a job's progress until it ends")
    add("cancel", "cancel a job; what it has computed stays")
    retry = add("retry", "do a failed or cancelled job again")
    for parser in (submit, retry):
        parser.add_argument("--watch", action="store_true", help="and show its progress until it ends")


def run(arguments: argparse.Namespace) -> int:
    """Run a parsed action; returns the exit status.

    Raises:
        CommandFailed: any error that the caller can correct.
    """
    try:
        from luna_serving.commands.calls import calls
        from luna_serving.commands.jobs import JobCommands
    except ModuleNotFoundError as error:
        if str(error.name).startswith("luna"):
            raise
        raise CommandFailed(f"`luna jobs` needs the serving extra: pip install 'luna[serving]'. {error}.") from error

    with calls(Servers(arguments.data_dir)) as client:
        commands = JobCommands(client)
        if arguments.action == "watch":
            return _watched(commands, arguments.job, arguments)
        answer = _answer(commands, arguments)
        if getattr(arguments, "watch", False) and not getattr(arguments, "validate_only", False):
            return _watched(commands, answer.facts["id"], arguments)
        _print(answer.facts if arguments.json else answer.text)
        return 0


def _answer(commands: JobCommands, arguments: argparse.Namespace) -> Answer:
    match arguments.action:
        case "submit":
            return commands.submit(_wanted(arguments), arguments.idempotency_key, validate_only=arguments.validate_only)
        case "list":
            filters = [("status", each) for each in arguments.status]
            filters += [("kind", arguments.kind)] if arguments.kind else []
            filters += [(f"label.{name}", value) for name, value in arguments.label]
            return commands.list_jobs(filters, arguments.limit)
        case "cancel":
            return commands.cancel(arguments.job)
        case _:
            return commands.retry(arguments.job)


def _wanted(arguments: argparse.Namespace) -> Any:  # noqa: ANN401  a Wanted, of a module that is loaded late
    from luna_serving.commands.jobs import Wanted, read_parameters

    try:
        text = sys.stdin.read() if arguments.parameters == "-" else Path(arguments.parameters).read_text()
    except (OSError, UnicodeDecodeError) as e:
        raise CommandFailed(f"The parameters cannot be read: {e}.") from e
    return Wanted(
        arguments.kind,
        read_parameters(text),
        arguments.priority,
        arguments.deadline,
        dict(arguments.label),
        arguments.webhook,
    )


def _watched(commands: JobCommands, job_id: str, arguments: argparse.Namespace) -> int:
    from luna_serving.commands.jobs import STATUSES, ending, watcher

    try:
        if arguments.json:
            job = commands.watch(job_id, lambda _: None)
            _print(job)
        else:
            with watcher() as shown:
                job = commands.watch(job_id, shown.tell)
            print(ending(job))  # noqa: T201  a command line
    except KeyboardInterrupt:
        print(f"\nThe job goes on. To end it: luna jobs cancel {job_id}", file=sys.stderr)  # noqa: T201
        raise
    return STATUSES[job["status"]]


def _print(answer: Any) -> None:  # noqa: ANN401  JSON, or a text
    import orjson

    if not isinstance(answer, str):
        answer = orjson.dumps(answer, option=orjson.OPT_INDENT_2).decode()
    print(answer)  # noqa: T201  a command line
