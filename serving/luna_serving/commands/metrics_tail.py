"""`luna metrics tail`: the messages of a live connection; a lost one is connected again and resumed."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI
from websockets.sync.client import connect

from luna_serving.commands.calls import refused
from luna_serving.commands.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

PAUSES_S: Final = (0.2, 1.0, 3.0)
# Seconds for which a lost connection is tried again.
PATIENCE_S: Final = 60.0
# Closed by Luna for a reason that connecting again does not cure (RFC 6455, section 7.4.1).
FINAL: Final = frozenset({1008, 1009})
MOST_BYTES: Final = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Subscription:
    """What is shown."""

    selectors: Sequence[str]
    rate: float
    alerts: bool

    def message(self, place: tuple[str, int] | None) -> str:
        """The message that begins it, or goes on from a place."""
        words: dict[str, Any] = {"type": "subscribe"}
        if place is not None:
            words = {"type": "resume", "epoch": place[0], "seq": place[1]}
        words |= {"selectors": list(self.selectors), "rate": self.rate, "alerts": self.alerts}
        return orjson.dumps(words).decode()


def messages(
    url: str, key: str, wanted: Subscription, lost: Callable[[str], None], patience_s: float = PATIENCE_S
) -> Iterator[dict[str, Any]]:
    """The messages, without an end.

    Args:
        url: of Luna.
        key: an API key.
        wanted: the subscription.
        lost: called with the reason when the connection is lost.
        patience_s: seconds for which a lost connection is tried again.

    Raises:
        CommandFailed: Luna refused, or has been out of reach for too long.
    """
    target = f"{url.replace('http', 'ws', 1)}/api/v1/ws/metrics"
    place: tuple[str, int] | None = None
    lost_at, tries = time.monotonic(), 0
    while True:
        try:
            with connect(
                target, additional_headers={"X-API-Key": key}, compression=None, max_size=MOST_BYTES
            ) as socket:
                socket.send(wanted.message(place))
                for text in socket:
                    message = orjson.loads(text)
                    if message["type"] == "error":
                        _raise_unless_passing(message)
                        break
                    place = message["epoch"], message["seq"]
                    lost_at, tries = time.monotonic(), 0
                    yield message
                    lost_at = time.monotonic()
        except InvalidStatus as error:
            if error.response.status_code < 500:
                raise refused(error.response.status_code, bytes(error.response.body or b"")) from error
            reason = f"status {error.response.status_code}"
        except ConnectionClosed as error:
            if error.rcvd is not None and error.rcvd.code in FINAL:
                raise CommandFailed(error.rcvd.reason) from error
            reason = str(error)
        except InvalidURI as error:
            raise CommandFailed(f"LUNA_URL cannot be used: {error}.") from error
        except (OSError, InvalidHandshake, TimeoutError) as error:
            reason = str(error) or type(error).__name__
        else:
            reason = "closed"
        if time.monotonic() - lost_at > patience_s:
            raise CommandFailed(f"Luna is out of reach at {url}: {reason}.")
        lost(reason)
        time.sleep(PAUSES_S[min(tries, len(PAUSES_S) - 1)])
        tries += 1


def _raise_unless_passing(message: dict[str, Any]) -> None:
    problem = message["problem"]
    if problem["status"] < 500:
        raise refused(problem["status"], orjson.dumps(problem))
