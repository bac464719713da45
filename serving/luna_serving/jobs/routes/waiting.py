"""Waits for the end of a job, for `Prefer: wait`."""

import time
import uuid

from fastapi import Request

from luna_serving.edge.bodies import Disconnected, hang_up_detector
from luna_serving.edge.prefer import wait_within
from luna_serving.jobs.routes.parts import JobParts

# Seconds between two looks at whether the caller is still there.
LOOK_S = 1.0


async def waited(parts: JobParts, request: Request, account_id: int, job_id: uuid.UUID) -> dict[str, str]:
    """Wait until the job has ended, as long as the caller prefers; returns the headers that say so.

    Raises:
        Disconnected: the caller hung up.
        Problem: 404, 503.
    """
    seconds = wait_within(request.scope, parts.timeout_s)
    if seconds is None:
        return {}
    until = time.monotonic() + seconds
    gone = hang_up_detector(request.receive)
    with parts.watching.watch(account_id, job_id) as watcher:
        while (await parts.job(account_id, job_id, inline_bytes=0)).job.status.live:
            while (left := until - time.monotonic()) > 0 and not await watcher.wait(min(left, LOOK_S)):
                if gone():
                    raise Disconnected
            if left <= 0:
                break
    return {"Preference-Applied": f"wait={seconds}"}
