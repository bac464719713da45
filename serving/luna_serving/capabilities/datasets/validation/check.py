"""Checks a set: each file in the sandbox, then the files together. The same in a job and on a laptop."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from luna_serving.capabilities.datasets.validation import set_rules
from luna_serving.capabilities.datasets.validation.contract import Contract, SetType, contract_json
from luna_serving.capabilities.datasets.validation.findings import Finding, Findings, Rule, of
from luna_serving.capabilities.datasets.validation.manifest import SetFile, digest_of
from luna_serving.capabilities.datasets.validation.readiness import readiness
from luna_serving.capabilities.datasets.validation.reports import FileReport, Report
from luna_serving.capabilities.datasets.validation.sandbox.limits import Ending, Limits, Outcome
from luna_serving.capabilities.datasets.validation.sandbox.messages import finding_of
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox
from luna_serving.capabilities.datasets.validation.sets import check_names, check_tables, summary_of
from luna_serving.capabilities.datasets.validation.tables import rules as table_rules

Progress = Callable[[str, int], None]
"""Takes a file's name and its rows so far."""

TABLE_PRELOAD: Final = (
    "pyarrow.csv",
    "pyarrow.parquet",
    "pyarrow.compute",
    "luna_serving.capabilities.datasets.validation.tables.validator",
)
_TABLE_VALIDATOR: Final = "luna_serving.capabilities.datasets.validation.tables.validator:validate"
_TABLE_RULES: Final = {rule.id: rule for rule in table_rules.RULES}
_RESOURCES: Final = frozenset({Ending.MEMORY, Ending.CPU, Ending.WALL_CLOCK, Ending.OUTPUT})


class CheckFailed(Exception):
    """The check could not be made; not the data's fault."""


@dataclass(frozen=True, slots=True)
class SetValidator:
    """How sets of one type are checked."""

    check_file: Callable[[Sandbox, SetFile, Contract, Progress], Awaitable[FileReport]]
    check_together: Callable[[Sequence[FileReport], Contract], Sequence[Finding]]
    summary: Callable[[Sequence[FileReport]], Mapping[str, Any]]
    preload: tuple[str, ...]
    """Modules that the sandbox's server imports."""


async def check_set(
    files: Sequence[SetFile],
    contract: Contract,
    *,
    sandbox: Sandbox | None = None,
    each: Callable[[Finding], None] | None = None,
    done: Callable[[FileReport], None] = lambda _: None,
    progress: Progress = lambda _path, _rows: None,
    guessed: Sequence[str] = (),
) -> Report:
    """Check a set.

    Args:
        files: on this machine.
        contract: what they should hold.
        sandbox: where files are read; default: one of this call.
        each: called with every finding, also those that a report does not list.
        done: called with each file's report when it is there.
        progress: called while a file is read.
        guessed: sentences about what the owner did not say; passed on to the report.

    Raises:
        CheckFailed: our side.
    """
    validator = VALIDATORS[contract.type]
    if sandbox is None:
        async with Sandbox(preload=validator.preload) as own:
            return await check_set(
                files, contract, sandbox=own, each=each, done=done, progress=progress, guessed=guessed
            )

    async def check(file: SetFile) -> FileReport:
        report = await validator.check_file(sandbox, file, contract, progress)
        done(report)
        return report

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(check(file)) for file in files]
    return report_of([task.result() for task in tasks], contract, each=each, guessed=guessed, missing=sandbox.missing)


def report_of(
    files: Sequence[FileReport],
    contract: Contract,
    *,
    each: Callable[[Finding], None] | None = None,
    guessed: Sequence[str] = (),
    missing: Sequence[str] = (),
) -> Report:
    """The report of a set whose files have been checked. Pure.

    Args:
        files: their reports.
        contract: of the set.
        each: called with every finding.
        guessed: as in `check_set`.
        missing: what the sandbox did not isolate.
    """
    validator = VALIDATORS[contract.type]
    findings = Findings(each)
    for file in files:
        for finding in file.findings:
            findings.add(finding)
    for finding in (*check_names(files), *validator.check_together(files, contract)):
        findings.add(finding)
    summary = validator.summary(files)
    coverage: list[Mapping[str, Any]] = [{"path": f.path, **gap} for f in files for gap in f.coverage]
    coverage += [{"check": "isolation of the validator", "reason": reason} for reason in missing]
    return Report(
        contract,
        files,
        findings,
        coverage,
        digest_of(((file.path, file.bytes, file.sha256) for file in files), contract),
        summary,
        readiness(contract.type, summary) if findings.valid else (),
        guessed,
    )


async def check_table(sandbox: Sandbox, file: SetFile, contract: Contract, progress: Progress) -> FileReport:
    """Check one table in the sandbox.

    Raises:
        CheckFailed: our side.
    """
    found: list[Finding] = []

    def message(sent: Mapping[str, Any]) -> None:
        if (finding := finding_of(sent, _TABLE_RULES)) is not None:
            found.append(finding)
        elif isinstance(sent.get("progress"), dict):
            progress(file.path, int(sent["progress"].get("rows", 0)))

    arguments = {
        "file": str(file.file.resolve()),
        "path": file.path,
        "type": contract.type.value,
        "contract": contract_json(contract),
    }
    outcome = await sandbox.run(_TABLE_VALIDATOR, arguments, each=message, limits=Limits())
    if (end := ending(outcome, file.path, table_rules.RESOURCES, table_rules.CRASHED)) is not None:
        found.append(end)
    return FileReport(
        file.path,
        file.bytes,
        file.sha256,
        tuple(found),
        outcome.result,
        [*outcome.result.get("coverage", ()), *([] if outcome.finished else [_UNFINISHED])],
        outcome.peak_bytes,
        outcome.wall_s,
    )


_UNFINISHED: Final = {"check": "the rest of the file", "reason": "the validator was stopped"}


def ending(outcome: Outcome, path: str, resources: Rule, crashed: Rule) -> Finding | None:
    """The finding about how a run ended; None if the validator came to its end.

    Raises:
        CheckFailed: the run did not begin.
    """
    if outcome.finished:
        return None
    if outcome.ending is Ending.REFUSED:
        raise CheckFailed(outcome.detail)
    return of(resources if outcome.ending in _RESOURCES else crashed, outcome.detail, path=path)


_TABLES: Final = SetValidator(check_table, lambda files, _: list(check_tables(files)), summary_of, TABLE_PRELOAD)
VALIDATORS: Final[Mapping[SetType, SetValidator]] = {SetType.SERIES: _TABLES, SetType.OHLCV: _TABLES}
RULES: Final[tuple[Rule, ...]] = (*set_rules.RULES, *table_rules.RULES)
"""All that a report may name; docs/datasets/rules.md lists them."""
