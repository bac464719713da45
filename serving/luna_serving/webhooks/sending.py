"""One try to hand a message to its receiver."""

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final
from urllib.parse import urlsplit

import httpcore
import httpx

from luna_serving.webhooks.addresses import AddressRefused, Allowed, UrlRefused, check_url
from luna_serving.webhooks.pinned import PinnedBackend, Resolve, resolve

GONE: Final = 410
UNREACHED: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
    OSError,
)


class Outcome(Enum):
    """How a try went."""

    DELIVERED = auto()
    """The receiver answered 2xx."""
    FAILED = auto()
    """To be tried again."""
    GONE = auto()
    """The receiver wants no more messages."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A try and, unless the message was delivered, why not; for its owner to read."""

    outcome: Outcome
    error: str | None = None


class Sender:
    """Posts messages. Follows no redirect, reads no body of an answer, keeps no connection."""

    def __init__(
        self,
        allowed: Allowed,
        *,
        timeout_s: float,
        resolve: Resolve = resolve,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Wire it.

        Args:
            allowed: where messages may go.
            timeout_s: seconds until the status of an answer must be there.
            resolve: the addresses of a name.
            tls: by default the public authorities, or those of SSL_CERT_FILE.
        """
        self._allowed = allowed
        self._timeout_s = timeout_s
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=tls or httpx.create_ssl_context(),
            max_connections=None,
            max_keepalive_connections=0,
            network_backend=PinnedBackend(allowed, resolve),
        )

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Tried:
        """Try once; raises nothing that the receiver could cause."""
        try:
            # The settings may have changed since the URL was accepted.
            check_url(url, self._allowed)
            # httpcore leaves the brackets of an IPv6 address out of Host.
            whole = {"Host": urlsplit(url).netloc, "User-Agent": "Luna-Webhooks/1", **headers}
            async with (
                asyncio.timeout(self._timeout_s),
                self._pool.stream("POST", url, headers=list(whole.items()), content=body) as response,
            ):
                return judged(response.status)
        except UrlRefused as e:
            return Tried(Outcome.FAILED, f"The URL is refused: {e}")
        except AddressRefused:
            return Tried(Outcome.FAILED, "The host's name resolves to an address that is not public.")
        except TimeoutError:
            return Tried(Outcome.FAILED, f"There was no answer within {self._timeout_s:g} s.")
        except UNREACHED as e:
            return Tried(Outcome.FAILED, unreached(e))

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()


def judged(status: int) -> Tried:
    """What an answer's status means."""
    match status:
        case _ if 200 <= status < 300:
            return Tried(Outcome.DELIVERED)
        case _ if status == GONE:
            return Tried(Outcome.GONE, "The receiver answered 410 Gone: the message is not sent again.")
        case _ if 300 <= status < 400:
            return Tried(Outcome.FAILED, f"The receiver answered {status}; redirects are not followed.")
        case _:
            return Tried(Outcome.FAILED, f"The receiver answered {status}.")


def unreached(error: Exception) -> str:
    """Why there was no answer, without addresses or names of the inside."""
    causes = [error, error.__cause__, error.__context__]
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"The receiver's certificate is not valid: {cause.verify_message}."
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return "The receiver does not speak TLS as it should."
    if isinstance(error, httpcore.ProtocolError):
        return "The receiver's answer is not HTTP/1.1, or it closed the connection."
    return "The receiver cannot be reached."
