"""Writes what is large of a job to the object store, before the transaction that ends it."""

import asyncio
import logging
from dataclasses import replace
from typing import Final

from luna_serving.objects.client import ObjectStore
from luna_serving.objects.errors import StoreGone, StoreRefused
from luna_store.jobs.ending import RESULT, Artifact, Ended
from luna_store.jobs.objects import INLINE_BYTES, JobKey
from luna_store.jobs.states import JobStatus

log = logging.getLogger("luna.jobs")

JSON: Final = "application/json"


async def placed(objects: ObjectStore | None, ended: Ended) -> Ended:
    """The ending, with its large result and artifacts in the object store.

    Fails open: what the store does not take stays in the ending, and so in Postgres, as all does without a store. What
    was written for an ending that is never committed, the sweep deletes (`luna_serving.jobs.sweeping`).
    """
    large = [] if ended.result is None or len(ended.result) <= INLINE_BYTES else [ended.result]
    if objects is None or ended.status is JobStatus.QUEUED:
        return ended
    artifacts = list(ended.artifacts)
    if large:
        artifacts.append(await asyncio.to_thread(Artifact.of, RESULT, JSON, large[0]))
    try:
        for number, each in enumerate(artifacts):
            if each.body is not None and each.size > INLINE_BYTES:
                key = str(JobKey(ended.account_id, ended.job_id, ended.fence, number))
                await objects.put_bytes(key, each.body, each.media_type, sha256=each.sha256)
                artifacts[number] = each.at(key)
    except (StoreGone, StoreRefused) as e:
        log.warning("what job %s has made stays in Postgres: %s", ended.job_id, e)
    stored = next((each for each in artifacts if each.name == RESULT and each.body is None), None)
    kept = tuple(each for each in artifacts if each.name != RESULT or each is stored)
    return replace(ended, result=ended.result if stored is None else None, artifacts=kept)
