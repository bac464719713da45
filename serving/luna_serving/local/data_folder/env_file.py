"""The files in Luna's data folder that outlive a run or that others read.

`env` tells how to reach the Luna that runs here and goes when it stops. `peppers` and `demo-key` stay: without the
first no key in the database can be checked, and of a key the database holds only the digest.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from luna_serving.local.data_folder.folder import DataFolder

ENV = "env"
PEPPERS = "peppers"
DEMO_KEY = "demo-key"


def write_env(folder: DataFolder, values: Mapping[str, str]) -> Path:
    """Write `env`, one NAME=value a line, mode 0600, whole or not at all.

    Raises:
        ValueError: a value holds a line break.
    """
    for name, value in values.items():
        if "\n" in value or "\r" in value:
            raise ValueError(f"{name} must not hold a line break.")
    return folder.write(ENV, "".join(f"{name}={value}\n" for name, value in values.items()))


def read_env(data_dir: Path) -> dict[str, str]:
    """What `env` says; empty if no Luna runs on this folder."""
    try:
        lines = (data_dir / ENV).read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def read_secret(data_dir: Path, name: str) -> str | None:
    """The contents of `peppers` or `demo-key`; None if it was never written."""
    try:
        return (data_dir / name).read_text().strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None


def local_peppers(folder: DataFolder) -> str:
    """The pepper of a folder, in the form of LUNA_PEPPERS; made at the first call, 256 random bits."""
    kept = read_secret(folder.path, PEPPERS)
    if kept is None:
        kept = f"local:{secrets.token_urlsafe(32)}"
        folder.write(PEPPERS, kept + "\n")
    return kept
