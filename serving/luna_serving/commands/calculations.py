"""`luna price`, `luna simulate`, `luna portfolio`: calculations that are answered at once, or by a job."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from luna_serving.commands.errors import CommandFailed
from luna_serving.commands.servers import Servers

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from luna_serving.commands.calls import Calls

EPILOG: Final = (
    "LUNA_URL and LUNA_API_KEY name the Luna and the account; by default those of the data folder. A long calculation "
    "runs as a job, with its progress on stderr; after Ctrl-C the job goes on (`luna jobs watch ID`)."
)


def add_calculation(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    folder: argparse.ArgumentParser,
    name: str,
    text: str,
    route: str,
    wanted: Callable[[argparse.Namespace], Mapping[str, Any]],
    shown: Callable[[dict[str, Any]], str],
) -> argparse.ArgumentParser:
    """Add the parser of a calculation; its own arguments are the caller's to add.

    Args:
        commands: of `luna`.
        folder: the parser of --data-dir.
        name: of the command.
        text: one line of help.
        route: such as `montecarlo`.
        wanted: the body of the POST, from the parsed arguments; raises CommandFailed.
        shown: an answer for people.
    """

    def command(arguments: argparse.Namespace) -> int:
        answer = calculated(arguments, route, wanted(arguments))
        print(json.dumps(answer) if arguments.json else shown(answer))  # noqa: T201  a command line
        return 0

    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.", parents=[folder])
    parser.epilog = EPILOG
    parser.set_defaults(command=command)
    parser.add_argument("--json", action="store_true", help="answer in JSON")
    parser.add_argument(
        "--file", metavar="FILE", help="the body of the route as JSON, - for stdin; arguments win over its members"
    )
    return parser


def over(body: dict[str, Any], arguments: argparse.Namespace, names: Iterable[str]) -> dict[str, Any]:
    """The body, with those of the arguments over its members that were given."""
    body.update({name: value for name in names if (value := getattr(arguments, name)) is not None})
    return body


def body_of(arguments: argparse.Namespace) -> dict[str, Any]:
    """The body that `--file` holds; empty without it.

    Raises:
        CommandFailed: it cannot be read, or is no JSON object.
    """
    from luna_serving.commands.jobs import read_parameters

    if arguments.file is None:
        return {}
    try:
        return read_parameters(sys.stdin.read() if arguments.file == "-" else Path(arguments.file).read_text())
    except (OSError, UnicodeDecodeError) as e:
        raise CommandFailed(f"{arguments.file} cannot be read: {e}.") from e


def calculated(arguments: argparse.Namespace, route: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """The answer of a calculation, however long it takes.

    Args:
        arguments: with `data_dir`.
        route: such as `montecarlo`.
        body: of the POST.

    Raises:
        CommandFailed: Luna refused it or is out of reach, or its job did not succeed.
    """
    with connected(arguments) as client:
        return answered(client, route, body)


@contextmanager
def connected(arguments: argparse.Namespace) -> Iterator[Calls]:
    """Open a client.

    Raises:
        CommandFailed: the serving extra, LUNA_URL or LUNA_API_KEY is missing.
    """
    try:
        from luna_serving.commands.calls import calls
    except ModuleNotFoundError as error:
        if str(error.name).startswith("luna"):
            raise
        raise CommandFailed(f"This needs the serving extra: pip install 'luna[serving]'. {error}.") from error
    with calls(Servers(arguments.data_dir)) as client:
        yield client


def answered(client: Calls, route: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Post a calculation; where it became a job, watch it and fetch its result.

    Raises:
        CommandFailed: as of `calculated`.
    """
    from luna_serving.commands.jobs import JobCommands, ending, watcher

    status, document = client.answer("POST", f"/{route}", json=body)
    found: dict[str, Any] = document
    if status == 200:
        return found
    job_id = found["id"]
    try:
        with watcher() as shown:
            job = JobCommands(client).watch(job_id, shown.tell)
    except KeyboardInterrupt:
        print(f"\nThe job goes on. To end it: luna jobs cancel {job_id}", file=sys.stderr)  # noqa: T201
        raise
    if job["status"] != "succeeded":
        raise CommandFailed(ending(job))
    result: dict[str, Any] = client.json("GET", f"/jobs/{job_id}/result")
    return result
