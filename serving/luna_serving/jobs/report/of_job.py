"""The report of a job: what every job has, and the sections that its kind contributes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from luna_serving.jobs.report.numbers import instant, number, seconds, size
from luna_serving.jobs.report.page import Column, Page, Section, Status, Table, Text, Tone, render
from luna_store.jobs.claiming import ClaimedJob
from luna_store.jobs.ending import Artifact, Ended
from luna_store.jobs.states import JobStatus

NAME: Final = "report.html"
MEDIA_TYPE: Final = "text/html; charset=utf-8"
# Larger results are not read again for a page; their sections are left out.
MOST_RESULT_BYTES: Final = 64_000_000
# A page of this kit stays far below; one that does not is left out.
MOST_BYTES: Final = 2_000_000

Sections = Callable[[bytes, bytes], Sequence[Section]]
"""The sections of a kind of job, from its parameters and its result, both JSON; the result may be partial."""

TONES: Final = {
    JobStatus.SUCCEEDED: Tone.GOOD,
    JobStatus.FAILED: Tone.BAD,
    JobStatus.CANCELLED: Tone.WARN,
    JobStatus.EXPIRED: Tone.WARN,
}


@dataclass(frozen=True, slots=True)
class Times:
    """When an attempt ran, on the worker's clock."""

    began: datetime
    ended: datetime


def report_of(job: ClaimedJob, ended: Ended, times: Times, sections: Sections | None) -> Artifact | None:
    """The report of a job that has ended with a result, or with a part of it; None if there is nothing to show.

    Args:
        job: as it was claimed.
        ended: how it ended.
        times: of its last attempt.
        sections: of its kind.
    """
    if ended.result is None or ended.status is JobStatus.QUEUED:
        return None
    if any(artifact.name == NAME for artifact in ended.artifacts):
        return None
    own: Sequence[Section] = ()
    if sections is not None and len(ended.result) <= MOST_RESULT_BYTES:
        own = sections(job.parameters, ended.result)
    body = render(page_of(job, ended, times, own))
    return Artifact.of(NAME, MEDIA_TYPE, body) if len(body) <= MOST_BYTES else None


def page_of(job: ClaimedJob, ended: Ended, times: Times, own: Sequence[Section]) -> Page:
    """The page."""
    progress: Mapping[str, Any] = ended.progress or job.progress
    done = f"{number(progress.get('completed'))} of {number(progress.get('total'))} {progress.get('unit', 'steps')}"
    facts = (
        ("Job", str(job.id)),
        ("Account", str(job.account_id)),
        ("Created", instant(job.created_at)),
        ("Ended", instant(times.ended)),
        ("Last attempt took", seconds((times.ended - times.began).total_seconds())),
        ("Attempts", number(job.attempt)),
        ("Work done", done),
        ("Units charged", f"{number(ended.units_used)} of {number(job.units_reserved)} reserved"),
        ("Size of the result", size(len(ended.result or b""))),
    )
    return Page(
        title=f"{job.kind}: report",
        status=Status(ended.status.value, TONES.get(ended.status, Tone.NEUTRAL)),
        lead=_lead(ended),
        facts=facts,
        sections=(*own, *_reproduction(job, ended)),
        footer=f"Made by Luna when the job ended. The result: /api/v1/{job.account_id}/jobs/{job.id}/result",
    )


def _lead(ended: Ended) -> str:
    if ended.status is JobStatus.SUCCEEDED:
        return ""
    why = f" {ended.error.get('title', '')} {ended.error.get('detail', '')}".rstrip() if ended.error else ""
    return f"The job did not finish. What follows is about the part that was done.{why}"


def _told(value: object) -> str:
    """A value of the manifest, for people."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_told(each)}" for name, each in sorted(value.items()))
    return str(value)


def _reproduction(job: ClaimedJob, ended: Ended) -> Sequence[Section]:
    manifest = {**job.manifest, **(ended.manifest or {})}
    if not manifest:
        return ()
    rows = [(str(name), _told(value)) for name, value in sorted(manifest.items())]
    return (
        Section(
            "To run it again",
            (
                Text("With these values and the job's parameters, the same work can be repeated."),
                Table("The job's manifest", (Column("name"), Column("value")), rows),
            ),
        ),
    )
