"""The folder of one run: Ray's sockets and logs, HAProxy's files. It has a short path and is removed at the end."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil

if TYPE_CHECKING:
    from luna_serving.local.data_folder.folder import DataFolder

# Set in the environment of every process of a run, to find them again: Ray's workers change their command lines.
MARK = "LUNA_RUN_DIR"
_RECORD = "run"
_PREFIX = "luna-"


class RunFolder:
    """A folder of mode 0700 under /tmp; the data folder records its path until it is removed.

    It is not in the data folder: the path of HAProxy's socket is 75 characters longer, and socket paths have at most
    107 bytes (104 on macOS).
    """

    def __init__(self, path: Path, folder: DataFolder) -> None:
        self.path = path
        self._folder = folder

    @property
    def ray(self) -> Path:
        """Ray's folder. Ray makes it accessible to all users, so it is inside a folder that is not."""
        return self.path / "ray"

    @classmethod
    def create(cls, folder: DataFolder) -> Self:
        """Make a new folder."""
        # Not $TMPDIR: 49 characters on macOS.
        parent = "/tmp" if os.access("/tmp", os.W_OK | os.X_OK) else None  # noqa: S108  mkdtemp makes it safe
        path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        folder.write(_RECORD, f"{path}\n")
        return cls(path, folder)

    @classmethod
    def left_over(cls, folder: DataFolder) -> Self | None:
        """The folder of a killed run; None if there is none, or if it is not Luna's."""
        try:
            path = Path((folder.path / _RECORD).read_text().strip())
        except FileNotFoundError:
            return None
        # A damaged record must not cause the removal of another folder.
        if not path.name.startswith(_PREFIX) or path.is_symlink():
            return None
        return cls(path, folder)

    def end_processes(self, grace_s: float = 0.0) -> int:
        """End every process of the run except this one; return how many there were.

        Args:
            grace_s: seconds between SIGTERM and SIGKILL; 0 kills at once.
        """
        found = [process for process in psutil.process_iter() if self._is_ours(process)]
        if grace_s:
            for process in found:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.terminate()
            _, alive = psutil.wait_procs(found, timeout=grace_s)
        else:
            alive = found
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=2.0)
        return len(found)

    def _is_ours(self, process: psutil.Process) -> bool:
        if process.pid == os.getpid():
            return False
        try:
            return process.environ().get(MARK) == str(self.path)
        except (psutil.Error, OSError):  # another user's, or gone
            return False

    def keep_logs(self, target: Path) -> Path | None:
        """Copy Ray's logs out of the folder; return where they are, None if there are none."""
        logs = self.ray / "session_latest" / "logs"
        if not logs.is_dir():
            return None
        shutil.rmtree(target, ignore_errors=True)
        with contextlib.suppress(shutil.Error, OSError):  # sockets and files that vanish meanwhile
            shutil.copytree(logs, target)
        return target

    def remove(self) -> None:
        """Remove the folder and its record."""
        shutil.rmtree(self.path, ignore_errors=True)
        (self._folder.path / _RECORD).unlink(missing_ok=True)
