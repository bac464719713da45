"""Checks files of an X-ray set in the sandbox, and the set from their reports."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from luna_serving.capabilities.datasets.validation.contract import Contract, Labels, XrayContract
from luna_serving.capabilities.datasets.validation.endings import UNFINISHED, ending
from luna_serving.capabilities.datasets.validation.findings import Finding, Findings, of
from luna_serving.capabilities.datasets.validation.manifest import SetFile
from luna_serving.capabilities.datasets.validation.reports import FileReport, Progress
from luna_serving.capabilities.datasets.validation.sandbox.messages import finding_of
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox
from luna_serving.capabilities.datasets.validation.xray import in_child, rules
from luna_serving.capabilities.datasets.validation.xray.labels import Label
from luna_serving.capabilities.datasets.validation.xray.sets import check_set
from luna_serving.capabilities.datasets.validation.xray.summary import Summary

_RULES: Final = {rule.id: rule for rule in rules.RULES}
_WRONG_TYPE: Final = "An X-ray set has a contract of type xray."
_SHOWN: Final = ("format", "rows", "columns", "bits", "photometric")


def labels_of(contract: Contract) -> Labels | None:
    """The labels that a contract names."""
    if not isinstance(contract, XrayContract):
        raise TypeError(_WRONG_TYPE)
    return contract.labels


async def check_xray_file(
    sandbox: Sandbox, file: SetFile, contract: Contract, progress: Progress, salt: bytes
) -> FileReport:
    """Check one file of an X-ray set, an image or the labels.

    Raises:
        CheckFailed: our side.
    """
    del progress  # An image has no rows.
    found: list[Finding] = []
    rows: list[Any] = []

    def message(sent: Mapping[str, Any]) -> None:
        if (finding := finding_of(sent, _RULES)) is not None:
            found.append(finding)
        elif isinstance(sent.get("labels"), list):
            rows.extend(sent["labels"])

    labels = labels_of(contract)
    arguments: dict[str, Any] = {
        "file": str(file.file.resolve()),
        "path": file.path,
        "sha256": file.sha256,
        "salt": salt.hex(),
    }
    validator = in_child.IMAGE
    if labels is not None and file.path == labels.path:
        arguments["labels"] = asdict(labels)
        validator = in_child.LABELS
    outcome = await sandbox.run(validator, arguments, each=message, limits=in_child.LIMITS)
    if (end := ending(outcome, file.path, rules.RESOURCES, rules.CRASHED)) is not None:
        found.append(end)
    try:
        summary = _summary(outcome.result, rows) if outcome.finished else {}
    except (TypeError, ValueError):  # The child is not trusted: what a file made of it may say anything.
        found.append(of(rules.CRASHED, "The validator's summary makes no sense.", path=file.path))
        summary = {}
    coverage = [] if outcome.finished else [UNFINISHED]
    return FileReport(
        file.path, file.bytes, file.sha256, tuple(found), summary, coverage, outcome.peak_bytes, outcome.wall_s
    )


def _summary(result: Mapping[str, Any], rows: list[Any]) -> dict[str, Any]:
    """What a report keeps of a file. Raises TypeError or ValueError for a result that is none."""
    if "rows" in result:
        return {"format": "labels", "rows": len(rows), "kept": [Label.of_json(row).to_json() for row in rows]}
    if result["summary"] is None:
        return {}
    image = Summary.of_json(result["summary"]).to_json()
    return {**{name: image[name] for name in _SHOWN}, "kept": image}


def check_xray_set(files: Sequence[FileReport], contract: Contract, findings: Findings) -> Mapping[str, Any]:
    """Check the images of a set together; add findings, and return the summary of the set."""
    if not isinstance(contract, XrayContract):
        raise TypeError(_WRONG_TYPE)
    images = [Summary.of_json(kept) for f in files if f.summary.get("format") != "labels" and (kept := _kept(f))]
    tables = [f for f in files if f.summary.get("format") == "labels"]
    labels = [Label.of_json(row) for row in _kept(tables[0])] if tables else None
    checked = check_set(images, labels, contract, findings)
    return {"files": len(files), "bytes": sum(file.bytes for file in files), **asdict(checked)}


def _kept(file: FileReport) -> Any:  # noqa: ANN401  JSON of the child
    return file.summary.get("kept") or ()
