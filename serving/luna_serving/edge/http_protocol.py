"""Uvicorn's HTTP protocol, with a problem for requests that it cannot parse, and without a `Server` header.

When the server stops, it ends streams of events (`event_stream`), which would otherwise hold it up.

HAProxy passes on some requests that uvicorn's parser refuses, such as control characters in a header. Uvicorn answers
these in plain text, before the application runs.
"""

import os
import uuid
from typing import Any

import uvicorn.config
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from luna_serving.edge.event_stream import STOPPING
from luna_serving.edge.security_headers import OF_DATA
from luna_serving.wire import problems


class ProblemProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # a class that is chosen at import
    """Answers unparsable requests with 400 as a problem, and does not name the server."""

    def __init__(self, config: uvicorn.Config, server_state: Any, *rest: Any, **options: Any) -> None:  # noqa: ANN401
        """Accept a connection; arguments are uvicorn's."""
        # Serve builds the Config and does not pass `server_header=False`. Each tick of the server copies the Config's.
        config.encoded_headers = [each for each in config.encoded_headers if each[0] != b"server"]
        server_state.default_headers = [each for each in server_state.default_headers if each[0] != b"server"]
        super().__init__(config, server_state, *rest, **options)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's signature
        """Refuse an invalid request and close the connection: the begin of the next request is unknown."""
        problem = problems.bad_request()
        body = problem.body()
        head = (
            b"HTTP/1.1 400 Bad Request",
            b"content-type: " + problems.CONTENT_TYPE,
            b"content-length: %d" % len(body),
            b"x-request-id: " + uuid.uuid4().hex.encode(),
            b"connection: close",
            *(b"%s: %s" % each for each in OF_DATA),
        )
        self.transport.write(b"\r\n".join((*head, b"", body)))
        self.transport.close()

    def shutdown(self) -> None:
        """Serve what is under way, then close the connection; uvicorn calls this when the server stops."""
        scope = getattr(self, "scope", None)
        if scope is not None and STOPPING in scope["state"]:
            scope["state"][STOPPING].set()
        super().shutdown()


def install() -> None:
    """Make it the default protocol of uvicorn in this process, and keep uvicorn from believing X-Forwarded-For.

    Serve builds the `uvicorn.Config` itself and cannot pass a protocol. By default uvicorn takes the client's address
    from the header if the peer is 127.0.0.1, as HAProxy is in `luna up`: callers could forge it (`client_address`).
    """
    os.environ["FORWARDED_ALLOW_IPS"] = ""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{ProblemProtocol.__name__}"
