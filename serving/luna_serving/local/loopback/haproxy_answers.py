"""Turns HAProxy's own answers into problems (RFC 9457), in the configuration that Ray Serve makes.

Serve's template keeps HAProxy's HTML pages, and a plain-text 500 if no replica is left. This module replaces them by
problems (`luna_serving.wire.problems`) with an X-Request-ID and the headers that browsers need, and answers 414 and 431
instead of 400 for large heads.
`haproxy_pages` replaces the answers that no setting can change.

Imports no installed package: see `haproxy_on_loopback`.
"""

import json
import re
import shlex
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from luna_serving.edge import proxy_peer
from luna_serving.edge.security_headers import ALWAYS, DATA_POLICY

# Limits of a request's head. HAProxy parses larger heads, so that these get an answer of their own.
MAX_HEADERS = 100
MAX_HEADERS_BYTES = 16 * 1024
MAX_TARGET_BYTES = 16 * 1024
# Seconds for a whole head. Serve sets none: one that comes byte by byte would keep a connection for an hour.
HEAD_S = 30
# A head has to fit into one buffer, less 1 kB that HAProxy keeps for rewriting. An active connection has two buffers.
_BUFFER_BYTES = 64 * 1024
_PARSED_HEADERS = 2000

CONTENT_TYPE = "application/problem+json"
_ERRORFILE = re.compile(r"^[ \t]*errorfile .*\n", re.MULTILINE)
_DEFAULTS = re.compile(r"^defaults\b.*\n", re.MULTILINE)
_FRONTEND = re.compile(r"^frontend http_frontend\n(?! +http-request set-var\(txn\.luna_request_id)", re.MULTILINE)
_BUFSIZE = re.compile(r"^( *tune\.bufsize )(\d+)\n(?: *tune\.http\.maxhdr .*\n)?", re.MULTILINE)
_NOT_SERVED = re.compile(r"^( *http-request return status 404) content-type text/plain lf-string .*\n", re.MULTILINE)
# The caller's id if it is valid (as in `luna_serving.edge.middleware`), else a new one. Replicas set their own.
_REQUEST_IDS = (
    "    http-request set-var(txn.luna_request_id) req.hdr(x-request-id)\n"
    "    http-after-response set-header X-Request-ID %[var(txn.luna_request_id)] "
    "if !{ res.hdr(x-request-id) -m found } { var(txn.luna_request_id) -m reg ^[A-Za-z0-9._~:/+=@-]{1,128}$ }\n"
    "    http-after-response set-header X-Request-ID %[uuid] if !{ res.hdr(x-request-id) -m found }\n"
)
# Replicas send all of them: the first says whether the answer is one of theirs, so its own rule is the last.
_SECURITY_HEADERS = "".join(
    f'    http-after-response set-header {name.decode()} "{value.decode()}" '
    f"if !{{ res.hdr({ALWAYS[0][0].decode()}) -m found }}\n"
    for name, value in reversed((*ALWAYS, DATA_POLICY))
)
_ORIGIN = re.compile(r"[\x21-\x7e]+")
_NOTHING_SET: Mapping[str, str] = MappingProxyType({})
_TRUE = ("1", "on", "t", "true", "y", "yes")
# For replicas, see `luna_serving.edge.proxy_peer`. HAProxy puts the variable of its environment in place.
_PEER = f'    http-request set-header {proxy_peer.HEADER.decode()} "${{{proxy_peer.TOKEN_VARIABLE}}};%[src]"\n'


def problem(status: int, slug: str, title: str, detail: str) -> str:
    """A problem as JSON."""
    members = {"type": f"https://luna.dev/problems/{slug}", "title": title, "status": status, "detail": detail}
    return json.dumps(members, separators=(",", ":"))


def _answer(status: str, slug: str, title: str, detail: str, *headers: str) -> str:
    body = problem(int(status.partition(" ")[0]), slug, title, detail)
    head = (
        f"HTTP/1.1 {status}",
        f"Content-Type: {CONTENT_TYPE}",
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
# By the status that HAProxy would send. 400: an incomplete body, or a caller that closes its sending side before the
# answer (`nc -N`), which looks like a caller that hung up (`option abortonclose`; docs/decisions/0020). After 400 and
# 408 the begin of the next request is unknown.
ANSWERS = {
    400: _answer(
        "400 Bad Request",
        "bad-request",
        "The request was broken off.",
        "It did not come whole, or the connection's sending side was closed before the answer. Send it again, and keep "
        "the connection open in both directions until the answer has come.",
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
# Refusals of parsed heads: the condition and the answer.
REFUSALS = (
    (
        f"{{ req.fhdr_cnt gt {MAX_HEADERS} }}",
        431,
        problem(
            431,
            "headers-too-large",
            "The request has too many or too large headers.",
            f"A request may have at most {MAX_HEADERS} headers. Send fewer.",
        ),
    ),
    (
        f"{{ req.hdrs,length gt {MAX_HEADERS_BYTES} }}",
        431,
        problem(
            431,
            "headers-too-large",
            "The request has too many or too large headers.",
            f"A request's headers may have at most {MAX_HEADERS_BYTES} bytes together. Send fewer or shorter ones.",
        ),
    ),
    (
        f"{{ url,length gt {MAX_TARGET_BYTES} }}",
        414,
        problem(
            414,
            "uri-too-long",
            "The request's path and query are too long.",
            f"They may have at most {MAX_TARGET_BYTES} bytes together. Shorten them.",
        ),
    ),
)
NOT_SERVED = problem(404, "not-found", "Not found.", "Nothing is served at this path.")


def with_problems(configuration: str, folder: Path, environment: Mapping[str, str] = _NOTHING_SET) -> str:
    """The configuration with the answers of `write_answers`, request ids, headers for browsers, and callers' peers.

    Args:
        configuration: Serve's.
        folder: where `write_answers` put them.
        environment: names in LUNA_CORS_ORIGINS the origins whose pages may read the answers.
    """
    lines = "".join(f"    errorfile {status} {shlex.quote(str(_file(folder, status)))}\n" for status in ANSWERS)
    if "timeout http-request " not in configuration:
        lines += f"    timeout http-request {HEAD_S}s\n"
    configuration = _ERRORFILE.sub("", configuration)
    configuration = _DEFAULTS.sub(lambda found: found[0] + lines, configuration)
    configuration = _BUFSIZE.sub(_parsed_beyond_the_limits, configuration)
    configuration = _NOT_SERVED.sub(lambda found: f"{found[1]} {_content(NOT_SERVED)}\n", configuration)
    refusals = "".join(
        f"    http-request return status {status} {_content(body)} if {condition}\n"
        for condition, status, body in REFUSALS
    )
    rules = _REQUEST_IDS + _readable_by_pages(environment) + _SECURITY_HEADERS + refusals
    # The peer last: the refusals count the caller's headers.
    return _FRONTEND.sub(lambda found: found[0] + rules + _PEER, configuration)


def _readable_by_pages(environment: Mapping[str, str]) -> str:
    """Rules for the origins of `luna_serving.settings.CorsSettings`; answers of the application have the headers."""
    listed = [each.strip() for each in environment.get("LUNA_CORS_ORIGINS", "").split(",")]
    origins = " ".join(shlex.quote(each) for each in listed if _ORIGIN.fullmatch(each))
    if not origins:
        return ""
    every = listed == ["*"]
    admitted = "{ var(txn.luna_origin) -m " + ("found }" if every else f"str {origins} }}")
    admitted += " !{ res.hdr(access-control-allow-origin) -m found }"
    headers = {"Vary": "Origin", "Access-Control-Expose-Headers": '"Retry-After, X-Request-ID"'}
    if environment.get("LUNA_CORS_CREDENTIALS", "").lower() in _TRUE:
        headers["Access-Control-Allow-Credentials"] = "true"
    # Last, for the others' conditions ask whether it is there.
    headers["Access-Control-Allow-Origin"] = "*" if every else "%[var(txn.luna_origin)]"
    return "    http-request set-var(txn.luna_origin) req.hdr(origin)\n" + "".join(
        f"    http-after-response set-header {name} {value} if {admitted}\n" for name, value in headers.items()
    )


def _parsed_beyond_the_limits(found: re.Match[str]) -> str:
    return f"{found[1]}{max(int(found[2]), _BUFFER_BYTES)}\n    tune.http.maxhdr {_PARSED_HEADERS}\n"


def _content(body: str) -> str:
    # HAProxy quotes as a shell does.
    return f"content-type {CONTENT_TYPE} string {shlex.quote(body)} hdr Cache-Control no-store"


def write_answers(folder: Path) -> None:
    """Write HAProxy's own answers into a folder."""
    for status, answer in ANSWERS.items():
        _file(folder, status).write_bytes(answer.encode("ascii"))


def _file(folder: Path, status: int) -> Path:
    return folder / f"problem-{status}.http"
