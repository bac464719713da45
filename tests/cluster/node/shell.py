"""Runs the host's own programs: ip, nsenter, podman, debootstrap, apt-get."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_LINES = 30


class NodeError(RuntimeError):
    """`make cluster-up` or `make cluster-down` cannot go on; the message says why, and the cure where one is known."""


def run(*command: object, log: Path | None = None, environment: Mapping[str, str] | None = None) -> str:
    """Run a command; return what it wrote to standard output, or nothing if it goes to `log`.

    Raises:
        NodeError: it is missing, or ended with another status than 0; the message has the end of what it wrote.
    """
    words = [str(word) for word in command]
    try:
        if log is None:
            done = subprocess.run(words, capture_output=True, text=True, env=_with(environment), check=False)
            said = done.stderr or done.stdout
        else:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("w") as file:
                done = subprocess.run(
                    words,
                    stdin=subprocess.DEVNULL,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    text=True,
                    env=_with(environment),
                    check=False,
                )
            said = log.read_text(errors="replace")
    except FileNotFoundError:
        raise NodeError(f"{words[0]} is not installed") from None
    if done.returncode:
        where = f" (all of it: {log})" if log else ""
        tail = "\n".join(said.strip().splitlines()[-_LINES:])
        raise NodeError(f"{' '.join(words)} ended with {done.returncode}{where}:\n{tail}")
    return done.stdout or ""


def _with(environment: Mapping[str, str] | None) -> Mapping[str, str] | None:
    return None if environment is None else os.environ | environment
