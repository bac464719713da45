"""The peers' virtual environments: made when they are first wanted, and kept in the user's cache folder."""

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions
from pathlib import Path

from luna_serving.local.data_folder.caches import cache_folder

# Written last: an environment without it was interrupted.
COMPLETE = "complete"
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==\S+", re.MULTILINE)
_TAIL_LINES = 5


class PeerNotInstalledError(RuntimeError):
    """The peer's environment could not be made; says why."""


@dataclass(frozen=True)
class Environment:
    """A virtual environment with everything that a peer needs."""

    path: Path

    def program(self, name: str) -> str:
        """The path of one of its programs."""
        return str(self.path / "bin" / name)

    def versions(self, packages: Sequence[str]) -> str:
        """The versions of some of its packages, in words."""
        places = [str(place) for place in self.path.glob("lib/python*/site-packages")]
        found = {each.name.lower(): each.version for each in distributions(path=places)}
        return ", ".join(f"{package} {found.get(package.lower(), '(none)')}" for package in packages)


def environment_name(peer: str, requirements: bytes) -> str:
    """The folder's name: other pins, another Python or another processor make another environment."""
    what = b"\0".join([requirements, platform.python_version().encode(), platform.machine().encode()])
    return f"{peer}-{hashlib.sha256(what).hexdigest()[:12]}"


def prepared(peer: str, requirements: Path, say: Callable[[str], None], cache: Path | None = None) -> Environment:
    """Return the peer's environment; make it if there is none yet. Two runs at once make it once.

    Args:
        peer: its name.
        requirements: its pins.
        say: shows progress.
        cache: where environments are kept; `bench` in Luna's cache folder if None.

    Raises:
        PeerNotInstalledError: it cannot be made.
    """
    if cache is None:
        folder = cache_folder(os.environ)
        if folder is None:
            raise PeerNotInstalledError("no cache folder is writable (XDG_CACHE_HOME, else ~/.cache)")
        cache = folder / "bench"
    path = cache / environment_name(peer, requirements.read_bytes())
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (path / COMPLETE).exists():
                _make(peer, path, requirements, say)
    except OSError as error:
        raise PeerNotInstalledError(str(error)) from error
    return Environment(path)


def _make(peer: str, path: Path, requirements: Path, say: Callable[[str], None]) -> None:
    shutil.rmtree(path, ignore_errors=True)
    total = len(_PINNED.findall(requirements.read_text()))
    say(f"{peer}: installing {total} packages into {path}, once")
    _run([sys.executable, "-m", "venv", str(path)], lambda _: None)
    collected = 0

    def follow(line: str) -> None:
        nonlocal collected
        if line.startswith("Collecting "):
            collected += 1
            if collected % 10 == 0:
                say(f"{peer}: {collected} of {total} packages")
        elif line.startswith("Installing collected"):
            say(f"{peer}: all are here, unpacking")

    pip = [
        str(path / "bin" / "python"),
        "-I",
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
    ]
    # Wheels only: building a package would run its code and need compilers.
    _run([*pip, "--only-binary", ":all:", "--no-deps", "--requirement", str(requirements)], follow)
    (path / COMPLETE).touch()


def _run(command: Sequence[str], follow: Callable[[str], None]) -> None:
    lines: list[str] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            for line in process.stdout or ():
                lines.append(line.rstrip())
                follow(line)
        except BaseException:
            process.kill()
            raise
    if process.returncode != 0:
        errors = [line for line in lines if line.startswith("ERROR")] or lines[-_TAIL_LINES:]
        raise PeerNotInstalledError(f"{Path(command[0]).name} ended with status {process.returncode}: {errors[-1:]}")
