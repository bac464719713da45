"""Writes answers: sets, their files and states."""

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from luna_serving.capabilities.datasets.store.records import FileRecord, SetRecord, State
from luna_serving.edge.paths import PREFIX

OPTIONS = orjson.OPT_UTC_Z


def written(document: Mapping[str, Any]) -> bytes:
    """A document as JSON."""
    return orjson.dumps(document, option=OPTIONS)


def upload_json(record: SetRecord, files: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """A set that is being uploaded."""
    return {**_head(record), "state": record.state, "files": list(files)}


def complete_json(record: SetRecord) -> dict[str, Any]:
    """A set whose validation was started."""
    return {**_head(record), "state": record.state, "job_id": record.job_id}


def set_json(record: SetRecord) -> dict[str, Any]:
    """A set in a list."""
    links = {"self": set_url(record), "status": status_url(record)}
    if record.state.has_report:
        links |= {"report": report_url(record), "findings": findings_url(record)}
    return {
        **_head(record),
        "reference": record.reference,
        "type": record.type,
        "state": record.state,
        "file_count": record.file_count,
        "bytes": record.bytes,
        "digest": record.digest,
        "created_at": record.created_at,
        "validated_at": record.validated_at,
        "links": links,
    }


def detail_json(record: SetRecord, files: Sequence[FileRecord]) -> dict[str, Any]:
    """A set with its contract and its files."""
    served = record.state is State.VALID
    return {
        **set_json(record),
        "contract": dict(record.contract),
        "files": [
            {
                "path": each.path,
                "bytes": each.bytes,
                "sha256": each.sha256,
                "media_type": each.media_type,
                "url": f"{set_url(record)}/files/{quote(each.path)}" if served else None,
            }
            for each in files
        ],
    }


def status_json(
    record: SetRecord, report: Mapping[str, Any], progress: Mapping[str, Any], error: Mapping[str, Any] | None
) -> dict[str, Any]:
    """How far a validation is.

    Args:
        record: the set.
        report: its report; empty before there is one.
        progress: `completed` and `total`.
        error: why it failed, on our side.
    """
    judged = record.state.has_report
    return {
        **_head(record),
        "type": record.type,
        "state": record.state,
        "progress": {"completed": progress["completed"], "total": progress["total"]},
        "counts": report.get("counts", {"error": 0, "warning": 0, "info": 0}),
        "findings": report.get("findings", []),
        "coverage": report.get("coverage", []),
        "logs": report.get("logs", []),
        "digest": record.digest,
        "report_url": report_url(record) if judged else None,
        "findings_url": findings_url(record) if judged else None,
        "job_id": record.job_id,
        "error": error,
        "created_at": record.created_at,
        "validated_at": record.validated_at,
    }


def _head(record: SetRecord) -> dict[str, Any]:
    return {"dataset_id": record.id, "name": record.name, "version": record.version}


def _own(record: SetRecord) -> str:
    return f"{PREFIX}/{record.account_id}"


def set_url(record: SetRecord) -> str:
    """The path of a set."""
    return f"{_own(record)}/datasets/{record.id}"


def upload_url(record: SetRecord) -> str:
    """The path of its upload."""
    return f"{_own(record)}/upload/{record.id}"


def status_url(record: SetRecord) -> str:
    """The path of its status."""
    return f"{_own(record)}/validation/{record.id}/status"


def findings_url(record: SetRecord) -> str:
    """The path of all findings."""
    return f"{_own(record)}/validation/{record.id}/findings"


def report_url(record: SetRecord) -> str:
    """The path of its report."""
    return f"{set_url(record)}/report"
