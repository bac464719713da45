"""Uvicorn's HTTP protocol, with a problem for requests that it cannot parse.

HAProxy passes on some requests that uvicorn's parser refuses, such as control characters in a header. Uvicorn answers
these in plain text, before the application runs.
"""

import os
import uuid

import uvicorn.config
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from luna_serving.wire import problems


class ProblemProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # a class that is chosen at import
    """Answers unparsable requests with 400 as a problem."""

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
        )
        self.transport.write(b"\r\n".join((*head, b"", body)))
        self.transport.close()


def install() -> None:
    """Make it the default protocol of uvicorn in this process, and keep uvicorn from believing X-Forwarded-For.

    Serve builds the `uvicorn.Config` itself and cannot pass a protocol. By default uvicorn takes the client's address
    from the header if the peer is 127.0.0.1, as HAProxy is in `luna up`: callers could forge it (`client_address`).
    """
    os.environ["FORWARDED_ALLOW_IPS"] = ""
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{ProblemProtocol.__name__}"
