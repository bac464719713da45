"""Calls the routes of a running Luna for commands; problems become messages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import httpx
import orjson

from luna_serving.commands.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from luna_serving.commands.servers import Servers

TIMEOUT_S: Final = 60.0
# Streams of events have a heartbeat each 15 s.
SILENCE_S: Final = 40.0
# Seconds for which a stream that broke is connected again.
PATIENCE_S: Final = 60.0
PAUSES_S: Final = (0.2, 1.0, 3.0)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a stream."""

    id: str
    event: str
    data: dict[str, Any]


class Calls:
    """Calls the routes below `/api/v1`, for the account of the key."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def json(self, method: str, path: str, **options: Any) -> Any:  # noqa: ANN401  httpx's, and JSON
        """The answer's JSON; None without a body.

        Raises:
            CommandFailed: Luna refused, or is out of reach.
        """
        return self.answer(method, path, **options)[1]

    def answer(self, method: str, path: str, **options: Any) -> tuple[int, Any]:  # noqa: ANN401  httpx's, and JSON
        """The answer's status and JSON; None without a body.

        Raises:
            CommandFailed: Luna refused, or is out of reach.
        """
        try:
            answer = self._client.request(method, path, **options)
        except httpx.HTTPError as e:
            raise self._unreachable(e) from e
        if answer.status_code >= 400:
            raise refused(answer.status_code, answer.content)
        return answer.status_code, orjson.loads(answer.content) if answer.content else None

    def events(self, path: str) -> Iterator[Event]:
        """The events of a stream; connects again where it broke off, without a gap. Ends where there are no more.

        Raises:
            CommandFailed: Luna refused, or has been out of reach for a minute.
        """
        last, broke_at, tries = "", time.monotonic(), 0
        while True:
            headers = {"Last-Event-ID": last} if last else {}
            try:
                with self._client.stream("GET", path, headers=headers, timeout=self._patience) as answer:
                    if answer.status_code == 204:
                        return
                    if answer.status_code >= 500:
                        raise httpx.ReadError(f"status {answer.status_code}")
                    if answer.status_code >= 400:
                        raise refused(answer.status_code, answer.read())
                    for event in parsed(answer.iter_lines()):
                        last, broke_at, tries = event.id, time.monotonic(), 0
                        yield event
            except httpx.HTTPError as e:
                if time.monotonic() - broke_at > PATIENCE_S:
                    raise self._unreachable(e) from e
            time.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
            tries += 1

    @property
    def _patience(self) -> httpx.Timeout:
        return httpx.Timeout(TIMEOUT_S, read=SILENCE_S)

    def _unreachable(self, error: httpx.HTTPError) -> CommandFailed:
        return CommandFailed(f"Luna is out of reach at {self._client.base_url}: {error or type(error).__name__}.")


@contextmanager
def calls(servers: Servers) -> Iterator[Calls]:
    """Open a client of the Luna that LUNA_URL and LUNA_API_KEY name.

    Raises:
        CommandFailed: one of them is not set.
    """
    headers = {"X-API-Key": servers.api_key}
    try:
        client = httpx.Client(base_url=f"{servers.luna_url}/api/v1", headers=headers, timeout=TIMEOUT_S)
    except (httpx.InvalidURL, ValueError) as e:
        raise CommandFailed(f"LUNA_URL or LUNA_API_KEY cannot be used: {e}.") from e
    with client:
        yield Calls(client)


def parsed(lines: Iterator[str]) -> Iterator[Event]:
    """The events in the lines of a stream; comments and fields that Luna does not send are left out."""
    fields: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        if line and name:
            fields[name] = value.removeprefix(" ")
        elif not line and "data" in fields:
            yield Event(fields.get("id", ""), fields.get("event", "message"), orjson.loads(fields["data"]))
            fields = {}


def refused(status: int, body: bytes) -> CommandFailed:
    """The message of a refusal: each field that is wrong, or the problem's title and cure."""
    try:
        problem: Mapping[str, Any] = orjson.loads(body)
        errors = [f"{each['pointer'] or 'the body'}: {each['detail']}" for each in problem.get("errors", ())]
        return CommandFailed("\n".join([f"{problem['title']} {'' if errors else problem['detail']}".strip(), *errors]))
    except (ValueError, KeyError, TypeError):
        return CommandFailed(f"Luna answered {status}.")
