"""Checks a set: each file in the sandbox, then the files together. The same in a job and on a laptop."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from luna_serving.capabilities.datasets.validation import set_rules
from luna_serving.capabilities.datasets.validation.contract import Contract, SetType, contract_json
from luna_serving.capabilities.datasets.validation.endings import UNFINISHED, CheckFailed, ending
from luna_serving.capabilities.datasets.validation.findings import Finding, Findings, Rule
from luna_serving.capabilities.datasets.validation.manifest import SetFile, digest_of
from luna_serving.capabilities.datasets.validation.readiness import readiness
from luna_serving.capabilities.datasets.validation.reports import FileReport, Progress, Report
from luna_serving.capabilities.datasets.validation.sandbox.limits import Limits
from luna_serving.capabilities.datasets.validation.sandbox.messages import finding_of
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox
from luna_serving.capabilities.datasets.validation.sets import check_names, check_tables, summary_of
from luna_serving.capabilities.datasets.validation.tables import rules as table_rules
from luna_serving.capabilities.datasets.validation.xray import rules as xray_rules
from luna_serving.capabilities.datasets.validation.xray.in_child import PRELOAD as XRAY_PRELOAD
from luna_serving.capabilities.datasets.validation.xray.validator import check_xray_file, check_xray_set

TABLE_PRELOAD: Final = (
    "pyarrow.csv",
    "pyarrow.parquet",
    "pyarrow.compute",
    "luna_serving.capabilities.datasets.validation.tables.validator",
)
_TABLE_VALIDATOR: Final = "luna_serving.capabilities.datasets.validation.tables.validator:validate"
_TABLE_RULES: Final = {rule.id: rule for rule in table_rules.RULES}


@dataclass(frozen=True, slots=True)
class SetValidator:
    """How sets of one type are checked."""

    check_file: Callable[[Sandbox, SetFile, Contract, Progress, bytes], Awaitable[FileReport]]
    check_together: Callable[[Sequence[FileReport], Contract, Findings], Mapping[str, Any]]
    """Adds findings about the files together, and returns the summary of the set."""
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
    salt: bytes | None = None,
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
        salt: the set's secret, for hashes of values that are not shown; default: one of this call.

    Raises:
        CheckFailed: our side.
    """
    validator = VALIDATORS[contract.type]
    salt = secrets.token_bytes() if salt is None else salt
    if sandbox is None:
        async with Sandbox(preload=validator.preload) as own:
            return await check_set(
                files, contract, sandbox=own, each=each, done=done, progress=progress, guessed=guessed, salt=salt
            )

    async def check(file: SetFile) -> FileReport:
        report = await validator.check_file(sandbox, file, contract, progress, salt)
        done(report)
        return report

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(check(file)) for file in files]
    except* CheckFailed as failed:
        # One is as good as all: the sandbox is the same.
        raise CheckFailed(str(failed.exceptions[0])) from failed
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
    for finding in check_names(files):
        findings.add(finding)
    summary = validator.check_together(files, contract, findings)
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


async def check_table(
    sandbox: Sandbox, file: SetFile, contract: Contract, progress: Progress, salt: bytes
) -> FileReport:
    """Check one table in the sandbox; `salt` is not needed: values of tables may be shown.

    Raises:
        CheckFailed: our side.
    """
    del salt
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
        [*outcome.result.get("coverage", ()), *([] if outcome.finished else [UNFINISHED])],
        outcome.peak_bytes,
        outcome.wall_s,
        outcome.cpu_s,
    )


def _check_tables_together(files: Sequence[FileReport], contract: Contract, findings: Findings) -> Mapping[str, Any]:
    del contract
    for finding in check_tables(files):
        findings.add(finding)
    return summary_of(files)


_TABLES: Final = SetValidator(check_table, _check_tables_together, TABLE_PRELOAD)
_XRAY: Final = SetValidator(check_xray_file, check_xray_set, XRAY_PRELOAD)
VALIDATORS: Final[Mapping[SetType, SetValidator]] = {
    SetType.SERIES: _TABLES,
    SetType.OHLCV: _TABLES,
    SetType.XRAY: _XRAY,
}
RULES: Final[tuple[Rule, ...]] = (*set_rules.RULES, *table_rules.RULES, *xray_rules.RULES)
"""All that a report may name; docs/validation-rules.md lists them."""
