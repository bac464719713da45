"""Headers that keep browsers and caches from misusing an answer (OWASP, REST Security Cheat Sheet, "Security Headers").

Imports no installed package: `local/loopback/haproxy_answers` writes the same headers into HAProxy's configuration.
"""

import base64
import hashlib
import re
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Final

_Messages = Callable[[MutableMapping[str, Any]], Awaitable[None]]
_App = Callable[[MutableMapping[str, Any], Any, _Messages], Awaitable[None]]
Header = tuple[bytes, bytes]

ALWAYS: Final[tuple[Header, ...]] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
    # For embedding (<img>, <script>) only. Calls of `fetch` are CORS's business, which this header does not restrict.
    (b"cross-origin-resource-policy", b"same-origin"),
)
# An answer is data: a browser that shows it as a page runs and loads nothing.
DATA_POLICY: Final = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
NO_STORE: Final = (b"cache-control", b"no-store")
# What has a validator may be kept by its caller, who asks whether it is still valid.
REVALIDATED: Final = (b"cache-control", b"private, no-cache")
# The headers of almost every answer.
OF_DATA: Final = (*ALWAYS, DATA_POLICY, NO_STORE)

_INLINE: Final = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


def secured(headers: Sequence[Header]) -> list[Header]:
    """The headers of an answer, names in lower case, with those that it lacks. Takes 0.7 µs."""
    names = dict(headers)
    # Every call passes here: three look-ups take less time than a set operation.
    if not (b"etag" in names or b"cache-control" in names or b"content-security-policy" in names):
        return [*headers, *OF_DATA]
    caching = REVALIDATED if b"etag" in names else NO_STORE
    return [*headers, *ALWAYS, *(each for each in (DATA_POLICY, caching) if each[0] not in names)]


def page_policy(page: bytes) -> bytes:
    """The Content-Security-Policy of a documentation page: what this server serves, and the page's own scripts.

    Swagger UI and ReDoc set styles on elements, have images in their style sheets, and ReDoc searches in a worker.
    """
    hashes = (base64.b64encode(hashlib.sha256(script).digest()).decode() for script in _INLINE.findall(page))
    scripts = " ".join(["'self'", *(f"'sha256-{each}'" for each in hashes)])
    return (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; worker-src blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ).encode()


class PagePolicy:
    """Puts its own policy on each HTML page that has none; around pages that hold nothing of a caller's."""

    def __init__(self, app: _App) -> None:
        self._app = app

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: _Messages) -> None:  # noqa: ANN401
        """Serve one connection."""
        start: MutableMapping[str, Any] | None = None

        async def noted(message: MutableMapping[str, Any]) -> None:
            nonlocal start
            if (
                message["type"] == "http.response.start"
                and (b"content-type", b"text/html; charset=utf-8") in message["headers"]
                and DATA_POLICY[0] not in dict(message["headers"])
            ):
                start = message
                return
            if start is not None:
                policy = (DATA_POLICY[0], page_policy(message.get("body", b"")))
                await send({**start, "headers": [*start["headers"], policy]})
                start = None
            await send(message)

        await self._app(scope, receive, noted)


class StrictTransport:
    """Has browsers use TLS from now on (RFC 6797). Only for installations that TLS reaches in every path."""

    def __init__(self, app: _App, seconds: int) -> None:
        self._app = app
        self._header = (b"strict-transport-security", b"max-age=%d" % seconds)

    async def __call__(self, scope: MutableMapping[str, Any], receive: Any, send: _Messages) -> None:  # noqa: ANN401
        """Serve one connection."""

        async def noted(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message["headers"], self._header]}
            await send(message)

        await self._app(scope, receive, noted if scope["type"] == "http" else send)
