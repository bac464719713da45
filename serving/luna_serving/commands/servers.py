"""Finds the servers that a command uses: Postgres, Redis and the peppers, or a running Luna and a key.

Each of DATABASE_URL, REDIS_URL, LUNA_PEPPERS, LUNA_URL and LUNA_API_KEY comes from the environment or, if it is not set
there, from the data folder of a running `luna up`: its files `env` and `peppers`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from luna_serving.commands.errors import CommandFailed
from luna_serving.local.data_folder.env_file import PEPPERS, read_env, read_secret

if TYPE_CHECKING:
    from pathlib import Path


class Servers:
    """Looks up each value when it is needed: `luna migrate` needs no Redis."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    @property
    def database_url(self) -> str:
        """The URL of Postgres."""
        return self._find("DATABASE_URL")

    @property
    def redis_url(self) -> str:
        """The URL of Redis or Valkey."""
        return self._find("REDIS_URL")

    @property
    def peppers(self) -> str:
        """The peppers as `name:secret[,name:secret]`."""
        return self._find("LUNA_PEPPERS")

    @property
    def luna_url(self) -> str:
        """The URL of a running Luna."""
        return self._find("LUNA_URL").rstrip("/")

    @property
    def api_key(self) -> str:
        """The key of the account as which its routes are called."""
        return self._find("LUNA_API_KEY")

    @property
    def objects(self) -> dict[str, str]:
        """The S3_ variables of the object store.

        Raises:
            CommandFailed: there is none.
        """
        self._find("S3_ENDPOINT")
        named = {name: value for name, value in read_env(self._data_dir).items() if name.startswith("S3_")}
        # From one place: keys of one store are of no use for another.
        return named if not os.environ.get("S3_ENDPOINT") else {n: v for n, v in os.environ.items() if n[:3] == "S3_"}

    def _find(self, name: str) -> str:
        """The value of a variable.

        Raises:
            CommandFailed: it is set in neither place.
        """
        value = os.environ.get(name)
        if not value:
            kept = read_secret(self._data_dir, PEPPERS) if name == "LUNA_PEPPERS" else None
            value = kept or read_env(self._data_dir).get(name)
        if not value:
            raise CommandFailed(
                f"{name} is not set, and no Luna runs on the data folder {self._data_dir}. Set {name}, start Luna "
                "with `luna up`, or name its folder with --data-dir."
            )
        return value
