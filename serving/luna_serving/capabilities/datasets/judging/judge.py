"""One attempt at a validation, from the rows of a set to its verdict."""

import asyncio
import secrets
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson

from luna_serving.capabilities.datasets.judging.markets import Market, market_of
from luna_serving.capabilities.datasets.judging.sandboxes import Sandboxes
from luna_serving.capabilities.datasets.judging.sealing import Brought, Lost, Sealing
from luna_serving.capabilities.datasets.metrics import ValidationMetrics
from luna_serving.capabilities.datasets.report.document import Logs, document_of
from luna_serving.capabilities.datasets.store import validating
from luna_serving.capabilities.datasets.store.reading import Reference, find_with_files
from luna_serving.capabilities.datasets.store.records import FileRecord, Kind, SetNotFound, SetRecord, State
from luna_serving.capabilities.datasets.store.validating import Attempt, Made, MarketMade, Verdict
from luna_serving.capabilities.datasets.uploads.keys import made_key
from luna_serving.capabilities.datasets.validation.canonical.building import write_copy
from luna_serving.capabilities.datasets.validation.check import VALIDATORS, report_of
from luna_serving.capabilities.datasets.validation.contract import Contract, OhlcvContract, SetType, XrayContract
from luna_serving.capabilities.datasets.validation.contract_reading import contract_of
from luna_serving.capabilities.datasets.validation.findings import of
from luna_serving.capabilities.datasets.validation.manifest import SetFile, sha256_of
from luna_serving.capabilities.datasets.validation.reports import FileReport, Report
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox
from luna_serving.capabilities.datasets.validation.set_rules import OTHER_DIGEST
from luna_serving.jobs.kinds import Finished, Running
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.errors import StoreGone
from luna_serving.objects.wiring import needed
from luna_serving.prices.files import MEDIA_TYPE as BARS
from luna_serving.telemetry.read_gauges import Once

NDJSON: Final = "application/x-ndjson"
PARQUET: Final = "application/vnd.apache.parquet"
# Seconds until a store that is out of reach is asked again, doubled each time: half a minute in all.
FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 16.0


@dataclass(frozen=True, slots=True)
class Judge:
    """Validates sets on a worker. Travels there with the application, so it holds no connection."""

    files_at_once: int
    sandboxes: Sandboxes
    metrics: Once[ValidationMetrics]

    async def run(self, running: Running) -> Finished:
        """Validate the set that the job names.

        Raises:
            StoreGone and others: our side; the job is tried again.
        """
        store = needed(running.stores.objects, "datasets")
        dataset_id = uuid.UUID(orjson.loads(running.parameters)["dataset_id"])
        attempt = Attempt(running.account_id, dataset_id, uuid.UUID(running.job_id))
        engine = running.stores.engine
        try:
            record, files = await find_with_files(engine, attempt.account_id, Reference(dataset_id))
        except SetNotFound:
            return _finished({"dataset_id": str(dataset_id), "state": "deleted"}, units=0)
        if record.state is not State.VALIDATING or record.job_id != attempt.job_id:
            return _finished(_told(record))
        metrics = self.metrics(running.stores.registry)
        judged = True
        try:
            await self._judged(running, store, attempt, record, files, metrics)
        except Lost:
            judged = False
        try:
            record = await validating.record_of(engine, attempt)
        except SetNotFound:
            return _finished({"dataset_id": str(dataset_id), "state": "deleted"}, units=0)
        if judged and record.completed_at is not None and record.validated_at is not None:
            seconds = (record.validated_at - record.completed_at).total_seconds()
            metrics.judged(record.type, record.state, seconds)
        return _finished(_told(record))

    async def _judged(
        self,
        running: Running,
        store: ObjectStore,
        attempt: Attempt,
        record: SetRecord,
        files: Sequence[FileRecord],
        metrics: ValidationMetrics,
    ) -> None:
        logs = Logs()
        contract = contract_of(SetType(record.type), record.contract)
        logs.add(f"Validation of {record.reference} begins: {len(files)} files, {record.bytes:,} bytes.")
        with tempfile.TemporaryDirectory(prefix="luna-dataset-", ignore_cleanup_errors=True) as place:
            folder = Path(place)
            sealing = Sealing(running.stores.engine, store, attempt, metrics, folder)
            await sealing.claim(files)
            validator = VALIDATORS[contract.type]
            async with self.sandboxes.of(validator.preload) as sandbox:
                brought: list[SetFile] = []
                checked = await self._checked(running, sealing, sandbox, contract, files, logs, brought)
                missing = sandbox.missing
                await sealing.tidy()
                report, findings = await _reported(checked, contract, missing, folder)
                made = [Product(Kind.FINDINGS, findings, NDJSON)]
                market: Market | None = None
                if report.valid and not isinstance(contract, XrayContract):
                    copy = folder / "copy.parquet"
                    written = await write_copy(sandbox, sorted(brought, key=lambda f: f.path), contract, copy)
                    logs.add(f"The canonical copy has {written.rows:,} rows of {written.series:,} series.")
                    made.append(Product(Kind.TABLE, copy, PARQUET))
                    if isinstance(contract, OhlcvContract):
                        market = await asyncio.to_thread(market_of, copy, contract, folder / "bars.arrow")
                        made.append(Product(Kind.BARS, market.file, BARS))
                await _kept(running, store, attempt, made)
            counts = {severity.value: count for severity, count in report.findings.counts.items()}
            logs.add(f"Verdict: {'valid' if report.valid else 'invalid'}. " + _counted(counts))
            document = document_of(record, report, logs, datetime.now(UTC))
        verdict = Verdict(
            State.VALID if report.valid else State.INVALID,
            report.digest if report.valid else None,
            orjson.dumps(document, option=orjson.OPT_UTC_Z),
            None if market is None else _market_made(attempt, market),
        )
        if not await validating.end(running.stores.engine, attempt, verdict):
            raise Lost

    async def _checked(
        self,
        running: Running,
        sealing: Sealing,
        sandbox: Sandbox,
        contract: Contract,
        files: Sequence[FileRecord],
        logs: Logs,
        brought: list[SetFile],
    ) -> list[FileReport]:
        turns = asyncio.Semaphore(self.files_at_once)
        check = VALIDATORS[contract.type].check_file
        tables = not isinstance(contract, XrayContract)
        # Of this attempt: hashes of values that are not shown cannot be linked between sets.
        salt = secrets.token_bytes()
        done = 0

        async def one(file: FileRecord) -> FileReport:
            nonlocal done
            async with turns:
                here = await _patiently(sealing, file)
                whole = SetFile(file.path, here.place, file.bytes, file.sha256)
                if here.as_declared:
                    report = await check(sandbox, whole, contract, lambda _path, _rows: None, salt)
                else:
                    report = _another(file)
                if tables:
                    # The canonical copy is made of all files.
                    brought.append(whole)
                else:
                    await asyncio.to_thread(here.place.unlink, missing_ok=True)
            done += 1
            running.report(done)
            logs.file(file.path, len(report.findings), report.seconds)
            return report

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(each)) for each in files]
        except BaseExceptionGroup as failures:
            # What one file met is what the attempt meets; the others were cancelled.
            raise failures.exceptions[0] from failures
        return [task.result() for task in tasks]


@dataclass(frozen=True, slots=True)
class Product:
    """What a validation makes, on this machine."""

    kind: Kind
    place: Path
    media_type: str


async def _reported(
    checked: Sequence[FileReport], contract: Contract, missing: Sequence[str], folder: Path
) -> tuple[Report, Path]:
    """The report, and a file with every finding."""
    place = folder / "findings.ndjson"

    def report() -> Report:
        with place.open("wb") as lines:
            return report_of(
                checked,
                contract,
                each=lambda f: _ignored(lines.write(orjson.dumps(f.to_json(), option=orjson.OPT_APPEND_NEWLINE))),
                missing=missing,
            )

    return await asyncio.to_thread(report), place


def _ignored(written: int) -> None:
    del written


def _market_made(attempt: Attempt, market: Market) -> MarketMade:
    keys = {kind: made_key(attempt.account_id, attempt.dataset_id, kind) for kind in (Kind.BARS, Kind.TABLE)}
    return MarketMade(market.contents, keys[Kind.BARS], keys[Kind.TABLE])


async def _kept(running: Running, store: ObjectStore, attempt: Attempt, products: Sequence[Product]) -> None:
    """Store what a validation has made: first the rows, then the objects."""
    made = []
    for each in products:
        digest = await asyncio.to_thread(sha256_of, each.place)
        key = made_key(attempt.account_id, attempt.dataset_id, each.kind)
        made.append(Made(key, each.kind, each.place.stat().st_size, digest))
    if not await validating.claim_made(running.stores.engine, attempt, made):
        raise Lost
    for each, row in zip(products, made, strict=True):
        await store.put_file(row.key, each.place, each.media_type)


async def _patiently(sealing: Sealing, file: FileRecord) -> Brought:
    """Bring a file, and try again while the store is out of reach: a restart of it costs no attempt."""
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return await sealing.brought(file)
        except StoreGone:
            if pause_s > LONGEST_PAUSE_S:
                raise
            await asyncio.sleep(pause_s)
            pause_s *= 2


def _another(file: FileRecord) -> FileReport:
    message = f"The bytes that arrived are not those announced: {file.bytes:,} bytes with SHA-256 {file.sha256}."
    finding = of(OTHER_DIGEST, message, path=file.path)
    coverage = [{"check": "the content", "reason": "it is not the file that was announced"}]
    return FileReport(file.path, file.bytes, file.sha256, (finding,), {"checked": False}, coverage)


def _told(record: SetRecord) -> dict[str, Any]:
    return {
        "dataset_id": str(record.id),
        "name": record.name,
        "version": record.version,
        "state": record.state.value,
        "digest": record.digest,
    }


def _counted(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {severity}" for severity, count in counts.items()) + "."


def _finished(result: Mapping[str, Any], units: int | None = None) -> Finished:
    return Finished(orjson.dumps(dict(result)), units=units)
