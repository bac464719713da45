"""The report as JSON, and the log of a validation."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from luna_serving.capabilities.datasets.store.records import SetRecord
from luna_serving.capabilities.datasets.validation.findings import Severity
from luna_serving.capabilities.datasets.validation.reports import Report

# Findings and lines that an answer holds; all findings are in the NDJSON.
MOST_FINDINGS: Final = 2_000
MOST_LINES: Final = 200


class Logs:
    """Lines about a validation, for its owner: no text of a file, but names and numbers."""

    def __init__(self) -> None:
        self._lines: list[dict[str, Any]] = []
        self._left_out = 0

    def add(self, message: str) -> None:
        """Add a line."""
        self._lines.append({"at": datetime.now(UTC), "message": message})

    def file(self, path: str, findings: int, seconds: float) -> None:
        """Add a line about a file that is done."""
        if len(self._lines) >= MOST_LINES:
            self._left_out += 1
            return
        self.add(f"{path}: {findings:,} findings after {seconds:.2f} s.")

    def lines(self) -> list[dict[str, Any]]:
        """All lines, the oldest first."""
        if not self._left_out:
            return list(self._lines)
        more = {"at": datetime.now(UTC), "message": f"{self._left_out:,} more files are done."}
        return [*self._lines[:-1], more, self._lines[-1]]


def document_of(record: SetRecord, report: Report, logs: Logs, at: datetime) -> dict[str, Any]:
    """The report that is kept: the checks' own, with the set that it is about.

    Args:
        record: the set.
        report: of the checks.
        logs: of the validation.
        at: when it ended.
    """
    return {
        "dataset_id": str(record.id),
        "name": record.name,
        "version": record.version,
        "created_at": record.created_at,
        "completed_at": record.completed_at,
        "validated_at": at,
        **_checked(report),
        "logs": logs.lines(),
    }


def local_document_of(name: str, report: Report, at: datetime) -> dict[str, Any]:
    """The report of a check outside the library, as a page is made of it.

    Args:
        name: of what was checked.
        report: of the checks.
        at: when they ended.
    """
    return {"dataset_id": None, "name": name, "version": None, "validated_at": at, **_checked(report)}


def _checked(report: Report) -> dict[str, Any]:
    """The checks' own report, the worst findings first."""
    checked = report.to_json()
    findings: list[Mapping[str, Any]] = sorted(checked["findings"], key=_weight)
    listed = findings[:MOST_FINDINGS]
    return {**checked, "findings": listed, "findings_listed": len(listed)}


_ORDER: Final = {severity.value: i for i, severity in enumerate(Severity)}


def _weight(finding: Mapping[str, Any]) -> int:
    return _ORDER.get(str(finding["severity"]), len(_ORDER))
