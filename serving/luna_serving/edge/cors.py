"""Which pages of other origins a browser lets call (Fetch standard, "CORS protocol"), and open WebSockets.

Off by default: without a list, nothing here is between the server and the edge.
"""

from collections.abc import Iterable
from typing import Final

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from luna_serving.edge.bodies import ASGIApp
from luna_serving.settings.cors import CorsSettings
from luna_serving.wire import problems
from luna_serving.wire.problems import Problem

EVERY: Final = "*"
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
# What routes read, beside the headers that need no permission.
REQUEST_HEADERS: Final = (
    "Authorization",
    "Content-Encoding",
    "Idempotency-Key",
    "If-Match",
    "If-None-Match",
    "Last-Event-ID",
    "Prefer",
    "Traceparent",
    "Tracestate",
    "X-API-Key",
    "X-Request-ID",
    "X-Request-Timeout-Seconds",
)
# What routes send, beside the headers that every page may read.
ANSWER_HEADERS: Final = (
    "Allow",
    "ETag",
    "Idempotency-Replayed",
    "Location",
    "Next-Cursor",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "Usage-Since",
    "Usage-Until",
    "WWW-Authenticate",
    "X-Request-ID",
)


def cross_origin(what: str) -> Problem:
    """403: a page of another origin asks for something that the list does not admit."""
    return Problem(
        "cross-origin",
        403,
        "Pages of other origins may not do this.",
        f"{what} The team that runs Luna adds origins to LUNA_CORS_ORIGINS; docs/routes.md names methods and headers.",
    )


class Cors(CORSMiddleware):
    """Starlette's, with problems for refusals."""

    def __init__(self, app: ASGIApp, settings: CorsSettings) -> None:
        super().__init__(
            app,
            allow_origins=settings.origins,
            allow_methods=METHODS,
            allow_headers=REQUEST_HEADERS,
            allow_credentials=settings.credentials,
            expose_headers=ANSWER_HEADERS,
            max_age=settings.max_age_s,
        )

    def preflight_response(self, request_headers: Headers) -> Response:
        """Answer a preflight request: 204, or a problem."""
        plain = super().preflight_response(request_headers)
        headers = {
            name: value for name, value in plain.headers.items() if name == "vary" or name.startswith("access-control-")
        }
        if plain.status_code < 400:
            return Response(status_code=204, headers=headers)
        problem = cross_origin(f"{bytes(plain.body).decode()}.")
        return Response(problem.body(), problem.status, headers, media_type=problems.CONTENT_TYPE.decode())


def readable_by(origin: bytes | None, settings: CorsSettings) -> list[tuple[bytes, bytes]]:
    """The headers that let a page read an answer of Serve itself, which does not pass through `Cors`."""
    if not settings.origins:
        return []
    if EVERY in settings.origins:
        allowed = [(b"access-control-allow-origin", b"*")]
    elif origin is not None and origin.decode("latin-1") in settings.origins:
        allowed = [(b"access-control-allow-origin", origin), (b"vary", b"Origin")]
        allowed += [(b"access-control-allow-credentials", b"true")] if settings.credentials else []
    else:
        return [(b"vary", b"Origin")]
    return [*allowed, (b"access-control-expose-headers", ", ".join(ANSWER_HEADERS).encode())]


class SocketOrigins:
    """Which pages may open WebSockets: browsers send no preflight, but name the page's origin (RFC 6455, 10.2)."""

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._allowed: frozenset[str] = frozenset(allowed)

    def check(self, headers: dict[bytes, bytes]) -> None:
        """Check a handshake; one without an Origin is not a browser's.

        Raises:
            Problem: 403.
        """
        if b"origin" not in headers or EVERY in self._allowed:
            return
        origin = headers[b"origin"].decode("latin-1").lower()
        # A proxy in front ends TLS, so the scheme that arrives here is not the page's.
        own = origin.partition("://")[2] == headers.get(b"host", b"").decode("latin-1").lower()
        if not own and origin not in self._allowed:
            raise cross_origin("Their WebSockets are refused.")
