"""Caches of compiled Python and XLA programs, shared by all data folders of a user.

On two cores, a start takes 30 s without them and 15 s with them.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping


def cache_folder(environment: Mapping[str, str]) -> Path | None:
    """The user's cache folder for Luna on this machine; None if none is writable.

    One folder per machine: a home may be shared, and code that was compiled for another processor must not be.
    """
    base = environment.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111  never raises
    folder = Path(base) / "luna" / (platform.node() or "here")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def keep_bytecode(folder: Path, environment: MutableMapping[str, str]) -> bool:
    """Make this process and those with `environment` keep compiled modules in `folder`, if they are not kept elsewhere.

    A dozen processes import Ray. Each compiles it again if it was installed uncompiled (uv's default) and either
    PYTHONDONTWRITEBYTECODE is set (as in most container images) or the packages belong to another user.

    Returns:
        Whether the folder is used.
    """
    if sys.pycache_prefix != str(folder):
        ray = importlib.util.find_spec("ray")
        if ray is None or ray.cached is None or Path(ray.cached).exists():
            return False
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(folder)
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    environment["PYTHONPYCACHEPREFIX"] = str(folder)
    return True


def keep_compiled_shapes(folder: Path, environment: MutableMapping[str, str]) -> None:
    """Make JAX keep compiled functions in `folder`, unless `environment` names another place."""
    environment.setdefault("JAX_COMPILATION_CACHE_DIR", str(folder))
    # Each takes a few tenths of a second to compile; by default JAX keeps only those of 1 s or more.
    environment.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
