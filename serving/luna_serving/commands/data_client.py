"""Calls of the routes of data sets, for `luna data`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

import httpx

from luna_serving.commands.errors import CommandFailed
from luna_serving.local.data_folder.env_file import read_env

if TYPE_CHECKING:
    from pathlib import Path

# A status that waits answers within 25 s.
TIMEOUT_S: Final = 60.0
# Answers after which the same call may succeed.
AGAIN: Final = frozenset({429, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class DataClient:
    """Where Luna is, and the key that calls it."""

    url: str
    api_key: str

    @classmethod
    def of(cls, data_dir: Path) -> Self:
        """From LUNA_URL and LUNA_API_KEY, or from the data folder of a running `luna up`.

        Raises:
            CommandFailed: they are in neither place.
        """
        kept = read_env(data_dir)
        values = [os.environ.get(name) or kept.get(name) for name in ("LUNA_URL", "LUNA_API_KEY")]
        if not all(values):
            raise CommandFailed(
                f"LUNA_URL and LUNA_API_KEY are not set, and no Luna runs on the data folder {data_dir}. Set them, "
                "start Luna with `luna up`, or name its folder with --data-dir."
            )
        return cls(str(values[0]).rstrip("/"), str(values[1]))

    def session(self, at_once: int = 8) -> httpx.AsyncClient:
        """A client of the API."""
        return httpx.AsyncClient(
            base_url=f"{self.url}/api/v1",
            headers={"X-API-Key": self.api_key},
            timeout=TIMEOUT_S,
            limits=httpx.Limits(max_connections=at_once + 2),
        )


def checked(answer: httpx.Response) -> dict[str, Any]:
    """The body of an answer that is a success.

    Raises:
        CommandFailed: it is none; says why, with the cure.
    """
    if answer.is_success:
        return dict(answer.json()) if answer.content else {}
    raise CommandFailed(problem_of(answer))


def problem_of(answer: httpx.Response) -> str:
    """What a problem says."""
    try:
        body = answer.json()
        errors = [f"{e['pointer']}: {e['detail']}" for e in body.get("errors", ())]
        return "\n".join([f"{body['title']} {body['detail']}", *errors[1:]])
    except (ValueError, KeyError, TypeError):
        return f"{answer.request.url} answered {answer.status_code}."
