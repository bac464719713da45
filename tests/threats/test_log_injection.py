"""What a caller sends never begins a line of a log, breaks its JSON, or controls the terminal that shows it."""

import io
import json
import logging
import secrets
import time
from collections.abc import Callable
from urllib.parse import quote

import httpx
import pytest
from tests.threats.logs import lines_of, own_logs
from tests.threats.running import LocalLuna
from tests.threats.wire import send

from luna_store.platform.logs import CONTEXT, Format, configure, escaped

FORGED = '2026-01-01T00:00:00Z [error] forged {"level": "error", "message": "forged"}'
NASTY = [
    f"a\n{FORGED}",
    f"a\r\n{FORGED}",
    f"a\r{FORGED}",
    f"a\x0b{FORGED}",
    f"a\x85{FORGED}",
    f"a\u2028{FORGED}",
    "\x1b[2J\x1b[31mred",
    "\x1b]0;title\x07",
    "\x9b31m",
    "abc\b\b\bxyz",
    "\u202egnp.exe",
    "\0",
    '"}\n{"level": "error"}',
    "\udcff",
    "%n%s%x",
    "${jndi:ldap://127.0.0.1/a}",
]


def _in_context(log: logging.Logger, text: str) -> None:
    token = CONTEXT.set({"request_id": text})
    try:
        log.info("answered")
    finally:
        CONTEXT.reset(token)


def _failing(log: logging.Logger, text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        log.exception("it failed")


# Sources of log lines that hold what callers or administrators name.
PLACES: dict[str, Callable[[logging.Logger, str], None]] = {
    "message": lambda log, text: log.info("the account %s is new", text),
    "facts": lambda log, text: log.info("answered", extra={"facts": {"path": text, "account": text}}),
    "context": _in_context,
    "exception": _failing,
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("text", NASTY, ids=range(len(NASTY)))
@pytest.mark.parametrize("form", ["json", "text"])
def test_text_in_a_line_stays_in_it(form: Format, text: str, place: str) -> None:
    stream = io.StringIO()
    configure(form, stream=stream)
    PLACES[place](logging.getLogger("luna.test"), text)
    written = stream.getvalue()
    assert written.endswith("\n")
    lines = written[:-1].split("\n")
    assert all(line.isprintable() for line in lines), written
    if form == "json":
        assert [json.loads(line)["logger"] for line in lines] == ["luna.test"]
    else:
        # Those of a traceback are indented.
        assert not any(line[:1].strip() for line in lines[1:]), written


def test_text_that_can_be_printed_is_not_changed() -> None:
    assert escaped("Übergröße: 3 µs") == "Übergröße: 3 µs"
    assert escaped("a\tb\x1b") == "a\\tb\\x1b"


def test_what_callers_send_to_a_running_luna_stays_in_lines_of_json(luna: LocalLuna) -> None:
    marker = f"nasty-{secrets.token_hex(6)}"
    sent = [text.replace("\udcff", "\xff") for text in NASTY]
    with httpx.Client(base_url=luna.url, headers={"X-API-Key": luna.new_caller().key.secret}) as client:
        for text in sent:
            name = quote(f"{marker}{text}", safe="")
            client.get(f"/api/v1/{name}")
            client.get(f"/api/v1/models/{name}", params={"version": text})
            client.get(f"/api/v1/kalman/streams?cursor={name}")
            client.post(f"/api/v1/kalman?{name}={name}", json={"results": [1.0], marker + text: text})
            client.post("/api/v1/auth/token", data={"grant_type": text, "client_id": text, "client_secret": text})
    for header in ("X-Request-ID", "X-API-Key", "Authorization", "User-Agent", "traceparent", "X-Forwarded-For"):
        for text in ("\x1b[31m", "a\tb", "${jndi:x}", '"}{"'):
            send(luna, f"GET /api/v1/{marker} HTTP/1.1\r\nHost: x\r\n{header}: {text}\r\n\r\n".encode(), quiet_s=0.1)
    send(luna, f"{marker.upper().replace('-', '!')} /api/v1/{marker} HTTP/1.1\r\nHost: x\r\n\r\n".encode(), quiet_s=0.1)
    deadline, found = time.monotonic() + 20, 0
    while found < len(sent) and time.monotonic() < deadline:
        lines = [line for log in own_logs(luna) for line in lines_of(log) if line]
        found = sum(marker in line for line in lines)
    assert found >= len(sent)
    for line in lines:
        # Ray writes lines of its own to the same files, with nothing of callers'.
        if marker in line or "forged" in line or line.startswith("{"):
            assert json.loads(line)["logger"].startswith("luna."), line
        assert line.isprintable(), line
