"""Uvicorn's HTTP protocol, with a problem for what it cannot parse.

HAProxy passes on what it tolerates and uvicorn's parser does not, such as control characters in a header; uvicorn
answers that in plain text, before any application is asked.
"""

import uuid

import uvicorn.config
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from luna_serving.wire import problems


class ProblemProtocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # a class that is chosen at import
    """Answers 400 as a problem."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's signature
        """Refuse what is not HTTP, and close: nobody can tell where a next request would begin."""
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
    """Make it the protocol of every server of this process that names none; Serve's names none.

    Serve makes the `uvicorn.Config` itself and hands no protocol on.
    """
    uvicorn.config.HTTP_PROTOCOLS["auto"] = f"{__name__}:{ProblemProtocol.__name__}"
