"""Replaces the answers that are compiled into HAProxy by problems, in a copy of the program.

HAProxy 2.8 answers requests that it cannot parse (bytes that are not HTTP, NUL in a header, two lengths, a head that is
larger than its buffer or too slow) before it evaluates any rule or `errorfile`, from constant texts (`http_err_msgs` in
its src/http.c). This module overwrites each with a problem of the same length. A program with other texts, such as
another version's, runs unchanged. These answers have no X-Request-ID. See docs/decisions/0020.

Imports no installed package: see `haproxy_on_loopback`.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from luna_serving.local.loopback.haproxy_answers import CONTENT_TYPE, problem


@dataclass(frozen=True, slots=True)
class Page:
    """A compiled answer, and the problem that replaces it."""

    compiled: bytes
    status: str
    problem: str

    def replacement(self) -> bytes:
        """The problem, padded with spaces to the compiled text's length. The end of the connection ends the body."""
        head = (f"HTTP/1.1 {self.status}", "Connection: close", f"Content-Type: {CONTENT_TYPE}", "", self.problem)
        text = "\r\n".join(head).encode("ascii").ljust(len(self.compiled))
        if len(text) > len(self.compiled):
            raise ValueError(f"The answer {self.status} has {len(text)} bytes, of {len(self.compiled)}.")
        return text


def _page(compiled: tuple[str, str], closes: str, status: str, slug: str, title: str, detail: str) -> Page:
    heading, sentence = compiled
    html = f"<html><body><h1>{heading}</h1>\n{sentence}\n</body></html>\n"
    head = (f"HTTP/1.1 {heading}", f"Content-length: {len(html)}", "Cache-Control: no-cache")
    lines = (*head, *((closes,) if closes else ()), "Content-Type: text/html", "", html)
    code = int(status.partition(" ")[0])
    return Page("\r\n".join(lines).encode("ascii"), status, problem(code, slug, title, detail))


_CLOSES = "Connection: close"
PAGES = (
    _page(
        ("400 Bad request", "Your browser sent an invalid request."),
        _CLOSES,
        "400 Bad Request",
        "bad-request",
        "Unreadable",
        "Bad HTTP or a head > 63 kB",
    ),
    _page(
        ("408 Request Time-out", "Your browser didn't send a complete request in time."),
        _CLOSES,
        "408 Request Timeout",
        "deadline",
        "The request came too slowly.",
        "Send it faster.",
    ),
    _page(
        ("413 Payload Too Large", "The request entity exceeds the maximum allowed."),
        "",
        "413 Content Too Large",
        "too-large",
        "Unexpected body.",
        "Send none.",
    ),
    _page(
        ("422 Unprocessable Content", "The server cannot process the contained instructions."),
        "",
        "422 Unprocessable Content",
        "bad-request",
        "Transfer-Encoding?",
        "Use chunked.",
    ),
    _page(
        ("500 Internal Server Error", "An internal server error occurred."),
        "",
        "500 Internal Server Error",
        "internal",
        "Internal error.",
        "Try again.",
    ),
    _page(
        ("501 Not Implemented", "The server does not support the functionality required to fulfill the request."),
        "",
        "501 Not Implemented",
        "bad-request",
        "Not implemented.",
        "Use plain HTTP/1.1.",
    ),
)


def with_problems_compiled_in(program: bytes) -> bytes | None:
    """The program with the problems; None unless it has each text exactly once."""
    for page in PAGES:
        ended = page.compiled + b"\0"
        if program.count(ended) != 1:
            return None
        program = program.replace(ended, page.replacement() + b"\0")
    return program


def rewritten_copy(binary: Path, folder: Path) -> Path:
    """A copy of the program with problems; the program itself if that is not possible.

    Args:
        binary: HAProxy; not changed.
        folder: where to make a folder for the copy; its volume may forbid execution.
    """
    rewritten = with_problems_compiled_in(binary.read_bytes())
    if rewritten is None:
        return binary
    home = folder / "haproxy-with-problems"
    copy, partial = home / binary.name, home / f"{binary.name}-{os.getpid()}"
    try:
        home.mkdir(mode=0o700, exist_ok=True)
        # Its RUNPATH is $ORIGIN/lib.
        libraries = home / "lib"
        libraries.unlink(missing_ok=True)
        libraries.symlink_to(binary.absolute().parent / "lib")
        # Replaced, not overwritten: an earlier HAProxy may still run from the old file.
        partial.write_bytes(rewritten)
        partial.chmod(0o700)
        partial.replace(copy)
    except OSError:
        partial.unlink(missing_ok=True)
        return binary
    return copy if os.access(copy, os.X_OK) else binary
