"""Runs HAProxy in place of this process, with what Ray Serve's template leaves open closed.

Serve writes the configuration and starts `RAY_SERVE_HAPROXY_BINARY_PATH` with it; `luna up` points that here.

- The statistics page and the metrics listen on every address of the machine; here on 127.0.0.1.
- Killed hard, Serve leaves HAProxy behind for ever; here the kernel ends it with the process that started it.
- What HAProxy answers by itself is HTML or, when no replica is left, a plain-text 500; here these are problems like
  all others (`luna_serving.ingress.problems`), with an X-Request-ID. One exception has no setting: to what never
  became a request (bytes that are not HTTP, a head too long or too slow) HAProxy 2.8 sends a page that is compiled
  in, as 400 or 408, and hangs up.

Run as `python -I -S haproxy_on_loopback.py <haproxy> <its arguments>`: it imports nothing that is installed, and
executes HAProxy under its own process id, by which Serve knows it.
"""

import ctypes
import json
import os
import re
import shlex
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_OPEN_BIND = re.compile(r"^(\s*bind )(?:\*)?:(\d+)", re.MULTILINE)
_ERRORFILE = re.compile(r"^[ \t]*errorfile .*\n", re.MULTILINE)
_DEFAULTS = re.compile(r"^defaults\b.*\n", re.MULTILINE)
_FRONTEND = re.compile(r"^frontend http_frontend\n(?! +http-request set-var\(txn\.luna_request_id)", re.MULTILINE)
# The caller's id if it is sane (as in `luna_serving.ingress.middleware`), else a new one. Replicas set their own.
_REQUEST_IDS = (
    "    http-request set-var(txn.luna_request_id) req.hdr(x-request-id)\n"
    "    http-after-response set-header X-Request-ID %[var(txn.luna_request_id)] "
    "if !{ res.hdr(x-request-id) -m found } { var(txn.luna_request_id) -m reg ^[A-Za-z0-9._~:/+=@-]{1,128}$ }\n"
    "    http-after-response set-header X-Request-ID %[uuid] if !{ res.hdr(x-request-id) -m found }\n"
)


def _answer(status: str, slug: str, title: str, detail: str, *headers: str) -> str:
    code = int(status.partition(" ")[0])
    problem = {"type": f"https://luna.dev/problems/{slug}", "title": title, "status": code, "detail": detail}
    body = json.dumps(problem, separators=(",", ":"))
    head = (
        f"HTTP/1.1 {status}",
        "Content-Type: application/problem+json",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        *headers,
    )
    return "\r\n".join((*head, "", body))


UNAVAILABLE = _answer(
    "503 Service Unavailable",
    "overloaded",
    "The service is overloaded.",
    "No replica can take the call. Try again shortly.",
    "Retry-After: 1",
)
# By the status that HAProxy would send. 400: a body that stops half-way, too. After it and 408 nobody can tell where
# a next request would begin.
ANSWERS = {
    400: _answer(
        "400 Bad Request",
        "bad-request",
        "The request cannot be read.",
        "It did not come whole and in time, or is not HTTP. Send it again.",
        "Connection: close",
    ),
    408: _answer(
        "408 Request Timeout",
        "deadline",
        "The request was not sent in time.",
        "The request was not whole before its time was over. Send it again.",
        "Connection: close",
    ),
    413: _answer("413 Content Too Large", "too-large", "The body is too large.", "Split the call."),
    500: _answer("500 Internal Server Error", "internal", "Something went wrong on our side.", "Try again shortly."),
    502: UNAVAILABLE,
    503: UNAVAILABLE,
    504: UNAVAILABLE,
}


def closed(configuration: str) -> str:
    """The configuration with every listener that had no address on 127.0.0.1."""
    return _OPEN_BIND.sub(r"\g<1>127.0.0.1:\2", configuration)


def with_problems(configuration: str, folder: Path) -> str:
    """The configuration with the answers that `write_answers` puts into the folder, and ids on them."""
    lines = "".join(f"    errorfile {status} {shlex.quote(str(_file(folder, status)))}\n" for status in ANSWERS)
    configuration = _ERRORFILE.sub("", configuration)
    configuration = _DEFAULTS.sub(lambda found: found[0] + lines, configuration)
    return _FRONTEND.sub(lambda found: found[0] + _REQUEST_IDS, configuration)


def write_answers(folder: Path) -> None:
    """Write what HAProxy answers by itself."""
    for status, answer in ANSWERS.items():
        _file(folder, status).write_bytes(answer.encode("ascii"))


def _file(folder: Path, status: int) -> Path:
    return folder / f"problem-{status}.http"


def main(argv: list[str]) -> None:
    """Tie, rewrite, execute."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:
        sys.exit("the process that started HAProxy is gone")
    binary, *arguments = argv
    configuration = Path(arguments[arguments.index("-f") + 1]).absolute()
    write_answers(configuration.parent)
    configuration.write_text(with_problems(closed(configuration.read_text()), configuration.parent))
    os.execv(binary, [binary, *arguments])  # noqa: S606  no shell is the point


if __name__ == "__main__":
    main(sys.argv[1:])
