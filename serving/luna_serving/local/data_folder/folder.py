"""The folder of one embedded server: its lock, password and port."""

from __future__ import annotations

import fcntl
import os
import secrets
from typing import TYPE_CHECKING

from luna_serving.local.data_folder.errors import DataFolderInUseError, DataFolderUnusableError, PortInUseError
from luna_serving.local.data_folder.ports import LOOPBACK, free_port, is_free

if TYPE_CHECKING:
    from pathlib import Path


class DataFolder:
    """The folder (mode 0700) with everything that one embedded server needs to restart.

    It has the files `lock`, `password` and `port` in addition to the server's own. A password is never changed, so that
    a copied URL stays valid.
    """

    def __init__(self, path: Path) -> None:
        # Absolute and without links, because it identifies the server by its command line.
        self.path = path.resolve()
        self._lock: int | None = None

    def acquire(self) -> None:
        """Lock the folder for this process; no effect if it holds the lock already.

        The kernel releases the lock when the process ends, so a killed Luna leaves none.

        Raises:
            DataFolderInUseError: another process, or another object of this one, holds it.
            DataFolderUnusableError: it belongs to another user.
        """
        if self._lock is not None:
            return
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except PermissionError as error:
            raise DataFolderUnusableError(
                f"{error.filename} is closed to this user (id {os.geteuid()}). Run Luna as the user who started "
                "it first, or choose another folder with --data-dir."
            ) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            if not isinstance(error, BlockingIOError):
                raise
            raise DataFolderInUseError(
                f"{self.path} is in use by a running Luna (process {holder}). Stop that one, or choose "
                "another folder with --data-dir."
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        self._lock = lock

    def release(self) -> None:
        """Unlock the folder."""
        if self._lock is not None:
            # Closing alone would leave the lock to a forked copy of this process.
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            os.close(self._lock)
            self._lock = None

    def password(self) -> str:
        """Return the server's password; created at the first call, 192 random bits, safe in a URL."""
        return self.password_file().read_text().strip()

    def password_file(self) -> Path:
        """Return the file with the password and a newline."""
        kept = self.path / "password"
        if not kept.exists():
            self.write("password", secrets.token_urlsafe(24) + "\n")
        return kept

    def port(self, wanted: int | None, *, other_than: int | None = None) -> int:
        """Choose the port to listen on and store it.

        `wanted` if given, else the port of the last start if it is free, else any free port.

        Args:
            wanted: the port that the caller requires.
            other_than: a port that another process has just taken.

        Raises:
            PortInUseError: `wanted` is taken.
        """
        if wanted is not None:
            if wanted == other_than or not is_free(wanted):
                raise PortInUseError(
                    f"Port {wanted} on {LOOPBACK} is taken. Stop what listens there, or choose another port."
                )
            return wanted
        try:
            port = int((self.path / "port").read_text())
        except (FileNotFoundError, ValueError):
            port = 0
        if not 0 < port < 65_536 or port == other_than or not is_free(port):
            port = free_port()
            self.write("port", f"{port}\n")
        return port

    def write(self, name: str, text: str) -> Path:
        """Write a file of mode 0600 atomically, even if the process is killed meanwhile; return its path."""
        path, draft = self.path / name, self.path / f"{name}.new"
        draft.unlink(missing_ok=True)
        file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(file, "w") as out:
            out.write(text)
            out.flush()
            os.fsync(file)
        draft.replace(path)
        return path
