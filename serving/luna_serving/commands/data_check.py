"""`luna data check`: validates files on this machine. Needs no server and no account."""

import asyncio
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from luna_serving.capabilities.datasets.report.document import local_document_of
from luna_serving.capabilities.datasets.report.page import page_of
from luna_serving.capabilities.datasets.validation.check import VALIDATORS, check_set
from luna_serving.capabilities.datasets.validation.contract import Contract, ContractError, SetType
from luna_serving.capabilities.datasets.validation.contract_reading import contract_of
from luna_serving.capabilities.datasets.validation.endings import CheckFailed
from luna_serving.capabilities.datasets.validation.findings import Finding, Severity
from luna_serving.capabilities.datasets.validation.guessing import CannotGuess, guess
from luna_serving.capabilities.datasets.validation.manifest import SetFile, sha256_of
from luna_serving.capabilities.datasets.validation.reports import Report
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox
from luna_serving.commands.errors import CommandFailed

MISUSE = 2
_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


@dataclass(frozen=True, slots=True)
class CheckOptions:
    """What was asked for."""

    paths: Sequence[Path]
    kind: str | None
    contract: Path | None
    json: bool
    every: Path | None
    html: Path | None = None


class Misuse(Exception):
    """Arguments that cannot be used; the message has the cure."""


def check(options: CheckOptions) -> int:
    """Check a set and print the report: 0 if it is valid, 1 if not, 2 if the arguments make no sense.

    Raises:
        CommandFailed: the check could not be made.
    """
    console = Console(stderr=options.json)
    try:
        report = asyncio.run(_report(options, console))
    except Misuse as error:
        sys.stderr.write(f"luna: {error}\n")
        return MISUSE
    except CheckFailed as error:
        raise CommandFailed(str(error)) from error
    if options.html is not None:
        document = local_document_of(options.paths[0].resolve().name, report, datetime.now(UTC))
        options.html.write_bytes(page_of(orjson.dumps(document)))
    if options.json:
        sys.stdout.write(orjson.dumps(report.to_json(), option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _print(report, console)
    return 0 if report.valid else 1


def files_of(paths: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    """Name in the set and place of each file; hidden files are left out.

    Raises:
        Misuse: a path leads nowhere, or nothing is there.
    """
    found = False
    for path in paths:
        if path.is_dir():
            for folder, folders, names in os.walk(path):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                for name in sorted(names):
                    file = Path(folder) / name
                    if not name.startswith(".") and file.is_file():
                        found = True
                        yield file.relative_to(path).as_posix(), file
        elif path.is_file():
            found = True
            yield path.name, path
        else:
            raise Misuse(f"{path} does not exist. Give a folder or files.")
    if not found:
        raise Misuse(f"{paths[0]} holds no files.")


async def _report(options: CheckOptions, console: Console) -> Report:
    named = list(files_of(options.paths))
    kind = None if options.kind is None else SetType(options.kind)
    contract = None if options.contract is None else read_contract(options.contract, kind)
    with ExitStack() as stack:
        progress = stack.enter_context(_progress(console))
        hashing = progress.add_task("reading", total=len(named))
        files = []
        for path, file in named:
            files.append(await asyncio.to_thread(set_file, path, file))
            progress.advance(hashing)
        every = None if options.every is None else _lines(stack, options.every)
        async with Sandbox(preload=preload(kind), at_once=max(2, os.cpu_count() or 1)) as sandbox:
            guessed: Sequence[str] = ()
            if contract is None:
                try:
                    contract, guessed = await guess(files, kind, sandbox)
                except CannotGuess as error:
                    raise Misuse(str(error)) from None
            if contract.type not in VALIDATORS:
                raise Misuse(f"Sets of type {contract.type} cannot be checked here.")
            checking = progress.add_task("checking", total=len(files))
            return await check_set(
                files,
                contract,
                sandbox=sandbox,
                each=every,
                done=lambda _: progress.advance(checking),
                guessed=guessed,
            )


def preload(kind: SetType | None) -> Sequence[str]:
    """The modules that the sandbox of a type imports."""
    chosen = VALIDATORS.get(kind or SetType.SERIES)
    return () if chosen is None else chosen.preload


def set_file(path: str, file: Path) -> SetFile:
    """A file on this machine with its size and digest."""
    return SetFile(path, file, file.stat().st_size, sha256_of(file))


def read_contract(file: Path, kind: SetType | None) -> Contract:
    """The contract in a JSON file, whose type may be a member `type` of it.

    Raises:
        Misuse: the file or a member cannot be used.
    """
    try:
        given: Any = orjson.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise Misuse(f"{file} cannot be read as JSON: {error}") from None
    if kind is None:
        stated = given.pop("type", None) if isinstance(given, dict) else None
        try:
            kind = SetType(str(stated))
        except ValueError:
            raise Misuse(f"Say the type of the set with --type, or with a member `type` in {file}.") from None
    elif isinstance(given, dict):
        given.pop("type", None)
    try:
        return contract_of(kind, given)
    except ContractError as error:
        raise Misuse(f"{file}: {error}.") from None


def _lines(stack: ExitStack, file: Path) -> Callable[[Finding], None]:
    stream = stack.enter_context(file.open("wb"))

    def write(finding: Finding) -> None:
        stream.write(orjson.dumps(finding.to_json(), option=orjson.OPT_APPEND_NEWLINE))

    return write


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _print(report: Report, console: Console) -> None:
    for sentence in report.guessed:
        console.print(f"Guessed: {escape(sentence)}")
    if list(report.findings):
        table = Table(show_edge=False, pad_edge=False)
        for column in ("", "rule", "file", "row", "column", "count", "what"):
            table.add_column(column, overflow="fold", justify="right" if column in {"row", "count"} else "left")
        for finding in report.findings:
            style = _STYLES[finding.severity]
            table.add_row(
                f"[{style}]{finding.severity}[/]",
                finding.id,
                escape(finding.path or ", ".join(finding.paths)),
                "" if finding.row is None else f"{finding.row:,}",
                escape(finding.column or ""),
                f"{finding.count:,}",
                escape(f"{finding.message}{_value(finding)} {finding.remedy}"),
            )
        console.print(table)
    for gap in report.coverage:
        where = f"{gap['path']}: " if "path" in gap else ""
        console.print(f"Not checked: {escape(where + gap['check'])}, because {escape(gap['reason'])}.", style="dim")
    for use in report.readiness:
        mark = "[green]ready[/]" if use["ready"] else "[dim]not ready[/]"
        console.print(f"{mark} {use['use']}: {escape(use['why'])}")
    counts = report.findings.counts
    told = ", ".join(f"{counts[severity]:,} {severity.value}" for severity in Severity)
    facts = report.summary
    files = facts.get("files", len(report.files))
    size = f"{files:,} files, {facts.get('rows', 0):,} rows, {facts.get('series', 0):,} series"
    verdict = "[bold green]valid[/]" if report.valid else "[bold red]invalid[/]"
    console.print(f"{verdict}: {size}; {told}. Digest {report.digest[:16]}.")


def _value(finding: Finding) -> str:
    return "" if finding.value is None or finding.value in finding.message else f" Value: {finding.value}."
