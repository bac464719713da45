"""`luna data push`: uploads a set, resumes one that was cut off, and waits for the verdict.

The Idempotency-Key is a digest of the request. So the same command on the same files finds the set that an earlier run
has started, whichever machine it ran on, and sends only what is missing.
"""

import asyncio
import hashlib
import mimetypes
import os
import re
import sys
import uuid
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from luna_serving.capabilities.datasets.validation.contract import Contract, SetType, contract_json
from luna_serving.capabilities.datasets.validation.guessing import CannotGuess, guess
from luna_serving.capabilities.datasets.validation.manifest import SetFile
from luna_serving.capabilities.datasets.validation.names import set_name_fault
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox
from luna_serving.commands.data_check import MISUSE, Misuse, files_of, preload, read_contract, set_file
from luna_serving.commands.data_client import AGAIN, DataClient, checked
from luna_serving.commands.errors import CommandFailed

BINARY: Final = "application/octet-stream"
MEDIA_TYPES: Final = {
    ".parquet": "application/vnd.apache.parquet",
    ".arrow": "application/vnd.apache.arrow.file",
    ".feather": "application/vnd.apache.arrow.file",
    ".csv": "text/csv",
    ".dcm": "application/dicom",
    ".gz": "application/gzip",
    ".zst": "application/zstd",
}
CHUNK: Final = 1 << 20
# Tries of one request, a second apart and then twice as long.
TRIES: Final = 5
# Rounds of sending what is missing in which nothing arrives.
FRUITLESS: Final = 3
WAIT: Final = {"Prefer": "wait=20"}
GONE: Final = frozenset({404, 410})
STORED: Final = 412
CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class PushOptions:
    """What was asked for."""

    paths: Sequence[Path]
    name: str | None
    kind: str | None
    contract: Path | None
    at_once: int
    wait: bool
    json: bool


def push(client: DataClient, options: PushOptions) -> int:
    """Upload a set: 0 if it is valid or not waited for, 1 if it is invalid, 2 if the arguments make no sense.

    Raises:
        CommandFailed: Luna or the object store is out of reach, or refuses the set.
    """
    console = Console(stderr=True)
    try:
        status = asyncio.run(_pushed(client, options, console))
    except Misuse as error:
        sys.stderr.write(f"luna: {error}\n")
        return MISUSE
    except httpx.TransportError as error:
        again = "Run the same command again: it goes on where it stopped."
        raise CommandFailed(f"The connection broke: {error or type(error).__name__}. {again}") from error
    if options.json:
        sys.stdout.write(orjson.dumps(status, option=orjson.OPT_INDENT_2).decode() + "\n")
    else:
        _print(status)
    return 0 if status["state"] in {"valid", "validating"} else 1


async def _pushed(client: DataClient, options: PushOptions, console: Console) -> dict[str, Any]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        named = dict(files_of(options.paths))
        reading = progress.add_task("reading", total=len(named))
        files: dict[str, SetFile] = {}
        for path, file in sorted(named.items()):
            files[path] = await asyncio.to_thread(set_file, path, file)
            progress.advance(reading)
        body = await _body(options, list(files.values()), console)
        async with client.session(options.at_once) as session, httpx.AsyncClient(timeout=60.0) as store:
            pushing = _Push(session, store, files, progress, options.at_once)
            dataset_id = await pushing.sent(body)
            return await pushing.judged(dataset_id, wait=options.wait)


class _Push:
    """One set on its way."""

    def __init__(
        self,
        session: httpx.AsyncClient,
        store: httpx.AsyncClient,
        files: Mapping[str, SetFile],
        progress: Progress,
        at_once: int,
    ) -> None:
        self._session = session
        self._store = store
        self._files = files
        self._progress = progress
        self._turns = asyncio.Semaphore(max(1, at_once))
        self._sending = progress.add_task("sending", total=len(files))

    async def sent(self, body: bytes) -> str:
        """Start or find the set, and send what is missing until it can be validated; returns its id."""
        started = await self._started(body)
        dataset_id = str(started["dataset_id"])
        missing = [each for each in started["files"] if each["state"] == "missing"]
        if started["state"] not in {"uploading", "failed"}:
            return dataset_id
        fruitless = 0
        while True:
            self._progress.update(self._sending, completed=len(self._files) - len(missing))
            arrived = await self._send_all(missing)
            answer = await _patient(self._session, "POST", "/upload/complete", json={"dataset_id": dataset_id})
            if answer.status_code != CONFLICT or "missing" not in answer.json():
                checked(answer)
                return dataset_id
            missing = answer.json()["missing"]
            fruitless = 0 if arrived else fruitless + 1
            if fruitless >= FRUITLESS:
                raise CommandFailed(
                    f"The object store takes {len(missing)} files from nobody, {missing[0]['path']} first."
                )

    async def judged(self, dataset_id: str, *, wait: bool) -> dict[str, Any]:
        """The status of the set, once it is final."""
        judging = self._progress.add_task("validating", total=len(self._files))
        while True:
            headers = WAIT if wait else {}
            answer = await _patient(self._session, "GET", f"/validation/{dataset_id}/status", headers=headers)
            status = checked(answer)
            self._progress.update(judging, completed=status["progress"]["completed"])
            if not wait or status["state"] != "validating":
                return status

    async def _started(self, body: bytes) -> dict[str, Any]:
        key = hashlib.sha256(body).hexdigest()
        for each in (key, f"{key}-{uuid.uuid4()}"):
            headers = {"Idempotency-Key": each, "Content-Type": "application/json"}
            answer = await _patient(self._session, "POST", "/upload/start", content=body, headers=headers)
            # The set of an earlier run was deleted or has expired: make another one.
            if answer.status_code in GONE or (answer.is_success and answer.json()["state"] == "expired"):
                continue
            break
        return checked(answer)

    async def _send_all(self, missing: Sequence[Mapping[str, Any]]) -> int:
        """Send files; returns how many the store took."""

        async def one(file: Mapping[str, Any]) -> bool:
            async with self._turns:
                sent = await self._send(file)
            if sent:
                self._progress.advance(self._sending)
            return sent

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one(each)) for each in missing if "upload" in each]
        return sum(task.result() for task in tasks)

    async def _send(self, file: Mapping[str, Any]) -> bool:
        place, upload = self._files[file["path"]].file, file["upload"]
        if "parts" not in upload:
            return await self._put(upload["url"], upload["headers"], place, 0, file["bytes"])
        step = max((part["bytes"] for part in upload["parts"]), default=0)
        sent = [
            await self._put(part["url"], part["headers"], place, (part["number"] - 1) * step, part["bytes"])
            for part in upload["parts"]
        ]
        return all(sent)

    async def _put(self, url: str, headers: Mapping[str, str], place: Path, start: int, size: int) -> bool:
        for attempt in range(TRIES):
            try:
                answer = await self._store.put(url, headers=headers, content=_chunks(place, start, size))
            except httpx.TransportError:
                if attempt == TRIES - 1:
                    raise
            else:
                if answer.is_success or answer.status_code == STORED:
                    return True
                if answer.status_code < 500:
                    # Expired, perhaps: the next round has a new URL.
                    return False
            await asyncio.sleep(2.0**attempt)
        return False


async def _chunks(place: Path, start: int, size: int) -> AsyncIterator[bytes]:
    with await asyncio.to_thread(place.open, "rb") as file:
        file.seek(start)
        while size > 0 and (chunk := await asyncio.to_thread(file.read, min(CHUNK, size))):
            size -= len(chunk)
            yield chunk


async def _patient(session: httpx.AsyncClient, method: str, url: str, **options: Any) -> httpx.Response:  # noqa: ANN401
    """Send a request, again while Luna is overloaded or restarts."""
    for attempt in range(TRIES - 1):
        try:
            answer = await session.request(method, url, **options)
        except httpx.TransportError:
            await asyncio.sleep(2.0**attempt)
            continue
        if answer.status_code not in AGAIN or "permanent" in answer.text:
            return answer
        await asyncio.sleep(min(float(answer.headers.get("Retry-After", 1)), 10.0))
    return await session.request(method, url, **options)


async def _body(options: PushOptions, files: Sequence[SetFile], console: Console) -> bytes:
    kind = None if options.kind is None else SetType(options.kind)
    contract: Contract
    if options.contract is not None:
        contract = read_contract(options.contract, kind)
    else:
        async with Sandbox(preload=preload(kind), at_once=max(2, os.cpu_count() or 1)) as sandbox:
            try:
                contract, guessed = await guess(files, kind, sandbox)
            except CannotGuess as error:
                raise Misuse(str(error)) from None
        for sentence in guessed:
            console.print(f"Guessed: {sentence}", markup=False)
    document = {
        "name": _name(options),
        "type": contract.type.value,
        "contract": contract_json(contract),
        "files": [
            {"path": each.path, "bytes": each.bytes, "sha256": each.sha256, "media_type": media_type(each.path)}
            for each in files
        ],
    }
    return orjson.dumps(document)


def media_type(path: str) -> str:
    """The media type of a file, by its name."""
    known = MEDIA_TYPES.get(Path(path).suffix.lower())
    return known or mimetypes.guess_type(path)[0] or BINARY


def _name(options: PushOptions) -> str:
    if options.name is not None:
        if fault := set_name_fault(options.name):
            raise Misuse(f"--name {fault}; got {options.name!r}.")
        return options.name
    first = options.paths[0].resolve()
    plain = re.sub(r"[^a-z0-9]+", "-", (first.name if first.is_dir() else first.name.split(".")[0]).lower())
    name = plain.strip("-")[:63]
    if set_name_fault(name):
        raise Misuse("Name the set with --name.")
    return name


def _print(status: Mapping[str, Any]) -> None:
    reference = f"{status['name']}@{status['version']}"
    for finding in status["findings"]:
        place = finding.get("path") or ", ".join(finding.get("paths", ()))
        row = "" if finding.get("row") is None else f", row {finding['row']}"
        where = f"{place}{row}: " if place else ""
        sys.stdout.write(f"{finding['severity']} {finding['id']} {where}{finding['message']} {finding['remedy']}\n")
    counts = ", ".join(f"{count} {severity}" for severity, count in status["counts"].items())
    digest = f" Digest {status['digest'][:16]}." if status["digest"] else ""
    sys.stdout.write(f"{reference} is {status['state']}: {counts}.{digest} Report: {status['report_url']}\n")
