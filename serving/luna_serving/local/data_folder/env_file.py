"""Files in the data folder that outlive a run or that other programs read.

`env` has the URLs of the running Luna, and is removed when it stops. `peppers`, `demo-key`, `demo-key-<tier>` and
`demo-password` stay: without the peppers no key in the database can be verified, and the database has only digests of
the others.
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
DEMO_TIER_KEY = "demo-key-{tier}"
DEMO_PASSWORD = "demo-password"  # noqa: S105  a file's name


def write_env(folder: DataFolder, values: Mapping[str, str]) -> Path:
    """Write `env` atomically, one NAME=value per line, with mode 0600.

    Raises:
        ValueError: a value holds a line break.
    """
    for name, value in values.items():
        if "\n" in value or "\r" in value:
            raise ValueError(f"{name} must not hold a line break.")
    return folder.write(ENV, "".join(f"{name}={value}\n" for name, value in values.items()))


def read_env(data_dir: Path) -> dict[str, str]:
    """The contents of `env`; empty if no Luna runs on this folder."""
    try:
        lines = (data_dir / ENV).read_text().splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return dict(line.split("=", 1) for line in lines if "=" in line)


def read_secret(data_dir: Path, name: str) -> str | None:
    """The contents of `peppers`, `demo-key` or `demo-password`; None if it was never written."""
    try:
        return (data_dir / name).read_text().strip() or None
    except (FileNotFoundError, NotADirectoryError):
        return None


def local_peppers(folder: DataFolder) -> str:
    """The pepper of a folder, in the form of LUNA_PEPPERS; created at the first call, 256 random bits."""
    kept = read_secret(folder.path, PEPPERS)
    if kept is None:
        kept = f"local:{secrets.token_urlsafe(32)}"
        folder.write(PEPPERS, kept + "\n")
    return kept
