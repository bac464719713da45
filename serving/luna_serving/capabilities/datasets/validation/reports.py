"""What a check came to: of one file, and of a set. JSON, since a set's files are checked in several places."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from luna_serving.capabilities.datasets.validation.contract import Contract, contract_json
from luna_serving.capabilities.datasets.validation.findings import Finding, Findings

Progress = Callable[[str, int], None]
"""Takes a file's name and its rows so far."""

# Members of a file's summary that the checks of the set need, and nobody else.
_NOT_SHOWN: Final = frozenset({"series", "coverage", "kept"})


@dataclass(frozen=True, slots=True)
class FileReport:
    """Of one file."""

    path: str
    bytes: int
    sha256: str
    findings: Sequence[Finding] = ()
    summary: Mapping[str, Any] = field(default_factory=dict)
    """What the validator of its kind says; of a table see `tables.validator`."""
    coverage: Sequence[Mapping[str, str]] = ()
    """`check` and `reason` of what was not checked."""
    peak_bytes: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """As in a report; series are left to the set."""
        summary = {name: value for name, value in self.summary.items() if name not in _NOT_SHOWN}
        return {"path": self.path, "bytes": self.bytes, "sha256": self.sha256, **summary}


@dataclass(frozen=True, slots=True)
class Report:
    """Of a set."""

    contract: Contract
    files: Sequence[FileReport]
    findings: Findings
    coverage: Sequence[Mapping[str, Any]]
    digest: str
    """Over the manifest."""
    summary: Mapping[str, Any]
    """Of all files together."""
    readiness: Sequence[Mapping[str, Any]] = ()
    guessed: Sequence[str] = ()
    """Sentences about what the contract did not say."""

    @property
    def valid(self) -> bool:
        """Whether no finding is an error."""
        return self.findings.valid

    def to_json(self) -> dict[str, Any]:
        """The JSON report."""
        return {
            "state": "valid" if self.valid else "invalid",
            "type": self.contract.type.value,
            "contract": contract_json(self.contract),
            "guessed": list(self.guessed),
            "digest": self.digest,
            "counts": {severity.value: count for severity, count in self.findings.counts.items()},
            "findings": [finding.to_json() for finding in self.findings],
            "coverage": [dict(each) for each in self.coverage],
            "summary": dict(self.summary),
            "files": [file.to_json() for file in self.files],
            "readiness": [dict(each) for each in self.readiness],
        }
