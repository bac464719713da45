"""The arguments of `luna alerts`, and the call of its commands."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from luna_serving.commands.errors import CommandFailed
from luna_serving.commands.servers import Servers

if TYPE_CHECKING:
    import argparse

EPILOG: Final = "LUNA_URL and LUNA_API_KEY name the Luna and the account; by default those of the data folder."


def add_alert_commands(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], folder: argparse.ArgumentParser
) -> None:
    """Add the parsers of all actions."""
    listed = actions.add_parser("list", help="list rules with their state", parents=[folder], epilog=EPILOG)
    listed.add_argument("--active", action="store_true", help="list pending and firing alerts instead")
    importing = actions.add_parser(
        "import",
        help="create the alerting rules of Prometheus' rule files; those of the same group, name and labels are "
        "replaced",
        parents=[folder],
        epilog=EPILOG,
    )
    importing.add_argument("files", nargs="+", type=Path, metavar="FILE", help="YAML")
    importing.add_argument("--webhook", metavar="URL", help="gets a signed message for each change of their alerts")
    importing.add_argument("--skip-recording", action="store_true", help="leave recording rules out")
    importing.add_argument("--dry-run", action="store_true", help="show what would be sent; change nothing")
    for parser in (listed, importing):
        parser.set_defaults(command=run)
        parser.add_argument("--json", action="store_true", help="answer in JSON")


def run(arguments: argparse.Namespace) -> int:
    """Run a parsed action; returns the exit status.

    Raises:
        CommandFailed: any error that the caller can correct.
    """
    try:
        from luna_serving.commands.alerts import AlertCommands, Answer
        from luna_serving.commands.calls import calls
        from luna_serving.commands.rule_files import read_rules
    except ModuleNotFoundError as error:
        if str(error.name).startswith("luna"):
            raise
        raise CommandFailed(f"`luna alerts` needs the serving extra: pip install 'luna[serving]'. {error}.") from error

    rules = []
    if arguments.action == "import":
        for file in arguments.files:
            try:
                text = file.read_text()
            except (OSError, UnicodeDecodeError) as e:
                raise CommandFailed(f"{file} cannot be read: {e}.") from e
            rules += read_rules(text, str(file), skip_recording=arguments.skip_recording)
        if arguments.webhook:
            rules = [{**rule, "webhook": arguments.webhook} for rule in rules]
        if arguments.dry_run:
            _print(Answer(rules, json.dumps(rules, indent=2)), as_json=arguments.json)
            return 0
    with calls(Servers(arguments.data_dir)) as client:
        commands = AlertCommands(client)
        if arguments.action == "import":
            answer = commands.put(rules)
        else:
            answer = commands.active() if arguments.active else commands.rules()
    _print(answer, as_json=arguments.json)
    return 0


def _print(answer: object, *, as_json: bool) -> None:
    text = json.dumps(answer.facts) if as_json else answer.text  # type: ignore[attr-defined]
    sys.stdout.write(f"{text}\n")
