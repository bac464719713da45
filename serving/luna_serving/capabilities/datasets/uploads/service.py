"""Starts, resumes and completes uploads."""

import time
import uuid
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import orjson
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from luna_serving.capabilities.datasets.store import starting, validating
from luna_serving.capabilities.datasets.store.reading import Reference, find, find_with_files
from luna_serving.capabilities.datasets.store.records import FileRecord, NotNow, SetRecord, State
from luna_serving.capabilities.datasets.store.starting import Also, NewSet
from luna_serving.capabilities.datasets.uploads.arrivals import Arrivals, PartSizes, look, whole
from luna_serving.capabilities.datasets.uploads.keys import upload_key
from luna_serving.capabilities.datasets.uploads.offers import Offers, Shown
from luna_serving.jobs.kinds import JobPlan
from luna_serving.jobs.service import Caller, JobService
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.errors import ObjectMissing
from luna_store.audit.actors import Actor

VALIDATION: Final = "datasets/validation"
# A validation costs one unit, however many files the set has.
UNITS: Final = 1
# Seconds for which an answer of the store counts as a sign of life.
ALIVE_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class Incomplete:
    """Files of a set are missing."""

    record: SetRecord
    missing: list[Shown]


class Uploads:
    """The upload protocol of one ingress replica."""

    def __init__(
        self, engine: AsyncEngine, store: ObjectStore, jobs: JobService, sizes: PartSizes, *, most_sets: int
    ) -> None:
        self._engine = engine
        self._store = store
        self._jobs = jobs
        self._sizes = sizes
        self._most_sets = most_sets
        self._offers = Offers(engine, store, sizes)
        self._alive_until = 0.0

    async def require_store(self) -> None:
        """Check that the object store answers: URLs that lead nowhere help nobody.

        Raises:
            StoreGone, StoreRefused: it does not.
        """
        if time.monotonic() >= self._alive_until:
            await self._store.ping()
            self._alive_until = time.monotonic() + ALIVE_S

    async def start(self, new: NewSet, also: Also, by: Actor) -> tuple[SetRecord, list[Shown]]:
        """Create a set; returns it and its files.

        Raises:
            AccountNotFound, NoRoom, TooManySets: nothing was created.
            StoreGone, StoreRefused: nothing was created, or a multipart upload could not be begun: resume the set.
        """
        record, files = await starting.start(self._engine, new, most_sets=self._most_sets, also=also, by=by)
        return record, await self._offers.shown(record, files, _nothing_new(files))

    async def resume(
        self, account_id: int, dataset_id: uuid.UUID, signed: Collection[str] | None
    ) -> tuple[SetRecord, list[Shown]]:
        """A set and its files, with fresh requests for those that are missing, or for `signed` paths among them.

        Raises:
            SetNotFound: the account has no such set.
            StoreGone, StoreRefused: the store does not answer.
        """
        record, files = await find_with_files(self._engine, account_id, Reference(dataset_id))
        if record.state not in {State.UPLOADING, State.FAILED}:
            arrivals = _after_upload(record, files)
            return record, await self._offers.shown(record, files, arrivals, signed=())
        arrivals = await look(self._store, record, files, self._sizes)
        await validating.touch(self._engine, record.id)
        return record, await self._offers.shown(record, files, arrivals, signed=signed)

    async def complete(self, caller: Caller, dataset_id: uuid.UUID) -> SetRecord | Incomplete:
        """Start the validation of a set whose files are all there; returns the set as it is then.

        Raises:
            SetNotFound: the account has no such set.
            NotNow: it has expired.
            StoreGone, StoreRefused: the store does not answer.
            Denied, Problem: the validation cannot be queued, as `JobService.create`.
        """
        reference = Reference(dataset_id)
        record, files = await find_with_files(self._engine, caller.account_id, reference)
        if record.state is State.EXPIRED:
            raise NotNow(record)
        if record.state not in {State.UPLOADING, State.FAILED}:
            return record
        arrivals = await self._joined(record, files)
        if missing := arrivals.missing(files):
            await validating.touch(self._engine, record.id)
            shown = await self._offers.shown(record, missing, arrivals)
            return Incomplete(record, shown)

        async def begin(connection: AsyncConnection, job_id: uuid.UUID) -> None:
            await validating.begin(connection, caller.account_id, dataset_id, job_id)

        plan = JobPlan(
            units=UNITS,
            total=len(files),
            unit="files",
            parameters=orjson.dumps({"dataset_id": str(dataset_id)}),
            manifest={"dataset": record.reference},
        )
        with suppress(NotNow):  # A concurrent call was first.
            await self._jobs.create(caller, VALIDATION, plan, within=begin)
        return await find(self._engine, caller.account_id, reference)

    async def _joined(self, record: SetRecord, files: Sequence[FileRecord]) -> Arrivals:
        """What has arrived, after files whose parts are all there were joined."""
        arrivals = await look(self._store, record, files, self._sizes)
        joined = False
        for each in files:
            parts = arrivals.parts.get(each.position, ())
            if whole(each, parts, self._sizes):
                joined = True
                key = upload_key(record.account_id, record.id, each.position)
                try:
                    await self._store.multipart.complete(key, each.upload_id or "", parts)
                except ObjectMissing:
                    continue  # a concurrent call was first
        return await look(self._store, record, files, self._sizes) if joined else arrivals


def _nothing_new(files: Sequence[FileRecord]) -> Arrivals:
    return Arrivals(frozenset(each.position for each in files if each.object_key is not None), frozenset())


def _after_upload(record: SetRecord, files: Sequence[FileRecord]) -> Arrivals:
    """Of a set that is no longer uploaded: before its verdict all files are there, afterwards those that are sealed."""
    sealed = frozenset(each.position for each in files if each.object_key is not None)
    others = frozenset(each.position for each in files) - sealed
    return Arrivals(sealed, others if record.state is State.VALIDATING else frozenset())
