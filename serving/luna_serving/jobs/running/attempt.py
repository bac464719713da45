"""One attempt at a job on this worker: what its kind sees, and how its end is told."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any, Final

from luna_serving.jobs.background import Background
from luna_serving.jobs.kinds import Finished, JobInvalid, JobKind
from luna_serving.jobs.report.of_job import Times, report_of
from luna_serving.jobs.running.placing import placed
from luna_store.jobs.claiming import RESULT_BYTES, SECONDS, ClaimedJob
from luna_store.jobs.ending import Ended
from luna_store.jobs.states import JobStatus

log = logging.getLogger("luna.jobs")

# Attempts that fail on our side, after which the job fails.
MOST_FAILURES: Final = 5
LONGEST_BACKOFF_S: Final = 300.0

Compute = Callable[[str, Sequence[Any]], Awaitable[Sequence[Any]]]


class Why(Enum):
    """Why an attempt was cancelled."""

    CANCEL = auto()
    """Its caller cancelled the job."""
    STOP = auto()
    """The worker stops."""
    LOST = auto()
    """Another attempt has the job."""


@dataclass(slots=True)
class Attempt:
    """Implements `kinds.Running`."""

    job: ClaimedJob
    kind: JobKind
    stores: Background
    _compute: Compute
    task: "asyncio.Task[None] | None" = None
    why: Why | None = None
    progress: dict[str, Any] = field(init=False)
    progress_sent: dict[str, Any] = field(init=False)
    kept: bytes | None = None
    """A checkpoint that is not stored yet."""
    begun: float = field(default_factory=time.monotonic)
    _partial: tuple[bytes | None, int] = (None, 0)

    def __post_init__(self) -> None:
        self.progress = dict(self.job.progress)
        self.progress_sent = dict(self.job.progress)

    @property
    def job_id(self) -> str:
        """See `kinds.Running`, as for the following."""
        return str(self.job.id)

    @property
    def account_id(self) -> int:
        """Whose job it is."""
        return self.job.account_id

    @property
    def parameters(self) -> bytes:
        """JSON."""
        return self.job.parameters

    @property
    def checkpoint(self) -> bytes | None:
        """Of an earlier attempt."""
        return self.job.checkpoint

    @property
    def limits(self) -> Mapping[str, int]:
        """The account's."""
        return self.job.limits

    async def compute(self, capability: str, jobs: Sequence[Any]) -> Sequence[Any]:
        """Have a replica compute."""
        return await self._compute(capability, jobs)

    def report(self, completed: int, *, total: int | None = None, estimate: Mapping[str, Any] | None = None) -> None:
        """Set the progress."""
        changed: dict[str, Any] = {"completed": completed}
        if total is not None:
            changed["total"] = total
        if estimate is not None:
            changed["estimate"] = dict(estimate)
        self.progress = self.progress | changed

    def keep(self, checkpoint: bytes) -> None:
        """Set the checkpoint."""
        self.kept = checkpoint

    def partial(self, result: bytes, units: int) -> None:
        """Set what is left of a job that does not finish."""
        self._partial = (result, units)

    def cancel(self, why: Why) -> None:
        """Stop the attempt; the first reason counts."""
        if self.why is None:
            self.why = why
            if self.task is not None:
                self.task.cancel()

    async def run(self) -> Ended | None:
        """Run to its end; None where another attempt has the job, or it is to be handed back."""
        began = datetime.now(UTC)
        ended = await self._run()
        if ended is None:
            return None
        try:
            ended = await self._with_report(ended, Times(began, datetime.now(UTC)))
            return await placed(self.stores.objects, ended)
        except asyncio.CancelledError:
            # The work is done: it ends as it would have, without the page, or with all of it in Postgres.
            if self.why is None:
                raise
            return ended

    async def _with_report(self, ended: Ended, times: Times) -> Ended:
        try:
            report = await asyncio.to_thread(report_of, self.job, ended, times, self.kind.sections)
        except Exception:
            # A page for people is no reason to lose a result.
            log.exception("job %s has no report", self.job.id)
            return ended
        size = len(ended.result or b"") + sum(each.size for each in ended.artifacts)
        if report is None or size + report.size > self.job.limits[RESULT_BYTES]:
            return ended
        return replace(ended, artifacts=(*ended.artifacts, report))

    async def _run(self) -> Ended | None:
        limit_s, deadline_s = float(self.job.limits[SECONDS]), max(0.0, self.job.deadline_in_s)
        try:
            async with asyncio.timeout(min(limit_s, deadline_s)) as clock:
                return self._succeeded(await self.kind.run(self))
        except asyncio.CancelledError:
            if self.why is None:
                raise
            return self._unfinished(JobStatus.CANCELLED, None) if self.why is Why.CANCEL else None
        except JobInvalid as e:
            return self._ended(JobStatus.FAILED, units=e.units, error=invalid(e))
        except Exception as e:  # noqa: BLE001  `_failed` logs it
            if isinstance(e, TimeoutError) and clock.expired():
                if deadline_s <= limit_s:
                    return self._unfinished(JobStatus.EXPIRED, DEADLINE)
                return self._unfinished(JobStatus.FAILED, out_of_time(limit_s))
            return self._failed(e)

    def _succeeded(self, finished: Finished) -> Ended:
        size = len(finished.result) + sum(artifact.size for artifact in finished.artifacts)
        most = self.job.limits[RESULT_BYTES]
        if size > most:
            return self._ended(JobStatus.FAILED, units=self.job.units_reserved, error=too_large(size, most))
        return self._ended(
            JobStatus.SUCCEEDED,
            units=self.job.units_reserved if finished.units is None else finished.units,
            result=finished.result,
            artifacts=finished.artifacts,
            manifest=finished.manifest or None,
        )

    def _unfinished(self, status: JobStatus, error: Mapping[str, Any] | None) -> Ended:
        result, units = self._partial
        if result is not None and len(result) > self.job.limits[RESULT_BYTES]:
            result = None
        return self._ended(status, units=units, error=error, result=result)

    def _failed(self, error: Exception) -> Ended:
        failures = self.job.failures + 1
        log.error("job %s failed here, %d times so far", self.job.id, failures, exc_info=error)
        if failures >= MOST_FAILURES:
            return self._ended(JobStatus.FAILED, error=OURS)
        # Full jitter (AWS Architecture Blog, "Exponential Backoff and Jitter", 2015).
        pause_s = random.uniform(0, min(LONGEST_BACKOFF_S, 2.0**failures))  # noqa: S311  jitter
        return self._ended(JobStatus.QUEUED, retry_in_s=pause_s, outcome="failed-here")

    def _ended(self, status: JobStatus, *, units: int = 0, **fields: Any) -> Ended:  # noqa: ANN401  of Ended
        job = self.job
        units = max(0, min(units, job.units_reserved))
        return Ended(job.id, job.account_id, job.fence, status, units, progress=self.progress, **fields)


OURS: Final[Mapping[str, Any]] = {
    "type": "internal",
    "title": "The job failed on the server's side.",
    "detail": f"{MOST_FAILURES} attempts failed. Nothing was charged. Retry it, or report the job's id.",
}
DEADLINE: Final[Mapping[str, Any]] = {
    "type": "deadline",
    "title": "The job's deadline has passed.",
    "detail": "Only the work that was done is charged. Create it again with a later deadline.",
}


def out_of_time(seconds: float) -> dict[str, Any]:
    """The error of a job that took longer than its account's jobs may."""
    return {
        "type": "job-time-limit",
        "title": "The job took longer than the account's jobs may.",
        "detail": f"It was stopped after {seconds:g} s, the account's limit jobs.seconds. Split it into smaller jobs.",
    }


def too_large(size: int, most: int) -> dict[str, Any]:
    """The error of a job whose result has more bytes than the account's jobs may leave."""
    return {
        "type": "result-too-large",
        "title": "The job's result is larger than the account's results may be.",
        "detail": f"It has {size} bytes; the account's limit jobs.result_bytes is {most}. Ask for less in one job.",
    }


def invalid(error: JobInvalid) -> dict[str, Any]:
    """The error of a job whose parameters turned out to be wrong."""
    return {
        "type": "invalid",
        "title": "The parameters are not valid.",
        "detail": error.detail,
        "errors": [{"pointer": f"/parameters{error.pointer}", "detail": error.detail}],
    }
