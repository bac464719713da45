"""Checks bytes as a file of an X-ray set, in this process."""

from pathlib import Path

from luna_serving.capabilities.datasets.validation.findings import Finding, Findings
from luna_serving.capabilities.datasets.validation.xray.files import check_file
from luna_serving.capabilities.datasets.validation.xray.summary import Summary

SALT = b"salt of the set"


def checked(path: Path, data: bytes, name: str = "a.dcm", salt: bytes = SALT) -> tuple[list[Finding], Summary | None]:
    """All findings, and the summary."""
    file = path / "file"
    file.write_bytes(data)
    found: list[Finding] = []
    summary = check_file(file, name, Findings(found.append), salt=salt)
    return found, summary


def ids(found: list[Finding]) -> set[str]:
    return {finding.id for finding in found}
