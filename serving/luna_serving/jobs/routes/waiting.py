"""Waits for the end of a job, for `Prefer: wait`."""

import time
import uuid
from typing import Final

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncEngine

from luna_serving.edge.bodies import Disconnected, Receive, hang_up_detector
from luna_serving.edge.prefer import wait_within
from luna_serving.jobs.routes.parts import JobParts, job_of
from luna_serving.jobs.routes.watching import Watching

# Seconds between two looks at whether the caller is still there.
LOOK_S: Final = 1.0


async def waited(parts: JobParts, request: Request, account_id: int, job_id: uuid.UUID) -> dict[str, str]:
    """Wait until the job has ended, as long as the caller prefers; returns the headers that say so.

    Raises:
        Disconnected: the caller hung up.
        Problem: 404, 503.
    """
    seconds = wait_within(request.scope, parts.timeout_s)
    if seconds is None:
        return {}
    await ended_within(parts.engine, parts.watching, account_id, job_id, seconds, request.receive)
    return applied(seconds)


def applied(seconds: int) -> dict[str, str]:
    """The header that says how long an answer may have waited."""
    return {"Preference-Applied": f"wait={seconds}"}


async def ended_within(
    engine: AsyncEngine, watching: Watching, account_id: int, job_id: uuid.UUID, seconds: float, receive: Receive
) -> None:
    """Wait until the job has ended, at most so many seconds.

    Args:
        engine: of the job store.
        watching: notices changes of jobs.
        account_id: whose job it is.
        job_id: the job's.
        seconds: the longest wait.
        receive: the request's, its body read.

    Raises:
        Disconnected: the caller hung up.
        Problem: 404, 503.
    """
    until = time.monotonic() + seconds
    gone = hang_up_detector(receive)
    with watching.watch(account_id, job_id) as watcher:
        while (await job_of(engine, account_id, job_id, inline_bytes=0)).job.status.live:
            while (left := until - time.monotonic()) > 0 and not await watcher.wait(min(left, LOOK_S)):
                if gone():
                    raise Disconnected
            if left <= 0:
                break
