"""Files of versions on this machine, shared by its processes: fetched by one, verified, mapped by all.

A file's name is its digest. It gets this name when it is whole and verified, so a process that is killed while it
fetches leaves nothing that another would read.
"""

import asyncio
import fcntl
import hashlib
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from luna_serving.objects.client import ObjectStore
from luna_serving.prices.located import MarketFile

SUFFIX: Final = ".arrow"
# Seconds after which what a killed process has left of a download is removed.
LEFT_OVER_S: Final = 3600.0
# Seconds between two tries for the lock on a file that another process fetches.
LOOK_S: Final = 0.02
_PRIVATE: Final = 0o700
_OTHERS_WRITE: Final = 0o022


class FileDiffers(Exception):
    """The object in the store is not the file that the version names."""


class LocalFiles:
    """A folder with at most so many bytes; the file that was used last stays whatever its size."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes

    async def path_of(self, store: ObjectStore, file: MarketFile) -> Path:
        """The path of a file, which is fetched if it is not here. Map it before the next call.

        Raises:
            ObjectMissing, StoreGone, StoreRefused: it cannot be fetched.
            FileDiffers: its digest is another.
            OSError: the disk is full, or the folder is not writable.
        """
        path = self._folder / f"{file.digest}{SUFFIX}"
        if await asyncio.to_thread(_used, path):
            return path
        await asyncio.to_thread(self._own_folder)
        async with locked(self._folder / f"{file.digest}.lock"):
            # Another process may have fetched it meanwhile.
            if not await asyncio.to_thread(_used, path):
                await asyncio.to_thread(self._make_room, file.bytes)
                await self._fetch(store, file, path)
        return path

    def _own_folder(self) -> None:
        """Make the folder; one that others may write to is refused, since what is in it is not verified again.

        Raises:
            PermissionError: it belongs to another user, or is open to others.
        """
        self._folder.mkdir(_PRIVATE, parents=True, exist_ok=True)
        stat = self._folder.stat()
        if stat.st_uid != os.geteuid() or stat.st_mode & _OTHERS_WRITE:
            raise PermissionError(
                f"{self._folder} belongs to another user, or others may write to it: set LUNA_PRICES_FOLDER to another."
            )

    async def _fetch(self, store: ObjectStore, file: MarketFile, path: Path) -> None:
        part = path.with_suffix(".part")
        await store.get_file(file.key, part)
        digest = await asyncio.to_thread(_digest, part)
        if digest != file.digest:
            part.unlink()
            raise FileDiffers(f"The object {file.key} has the digest {digest}, not {file.digest}.")
        part.replace(path)

    def _make_room(self, size: int) -> None:
        """Remove the files that were not used for the longest time. Mapped ones are read to their end all the same."""
        kept: list[tuple[float, int, Path]] = []
        for path in self._folder.iterdir():
            with suppress(FileNotFoundError):
                stat = path.stat()
                if path.suffix == SUFFIX:
                    kept.append((stat.st_mtime, stat.st_size, path))
                elif time.time() - stat.st_mtime > LEFT_OVER_S:
                    path.unlink()
        total = size + sum(each for _, each, _ in kept)
        for _, each, path in sorted(kept):
            if total <= self._max_bytes:
                return
            path.unlink(missing_ok=True)
            total -= each


def _used(path: Path) -> bool:
    """Note that a file is used; False if it is not here."""
    try:
        os.utime(path)
    except FileNotFoundError:
        return False
    return True


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Hold a lock between processes, which ends with the process that holds it. No thread waits for it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while not _try_lock(lock):  # noqa: ASYNC110  another process has no event to set
            await asyncio.sleep(LOOK_S)
        # Not a left-over while it is held, however old the file is: without its name, two would hold it.
        os.utime(lock)
        yield
    finally:
        os.close(lock)


def _try_lock(lock: int) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
