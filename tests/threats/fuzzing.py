"""What the fuzzing tests share: how many examples, what may come back, how much memory a parser took."""

import time
from collections.abc import Callable
from http.client import HTTPConnection
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.threats.running import LocalLuna

# Of each fuzzing test: few in CI, many in the slow suite.
EXAMPLES: Final = [100, pytest.param(3000, marks=[pytest.mark.slow, pytest.mark.timeout(1800)])]
# The deadline of a call (`LUNA_EDGE_REQUEST_TIMEOUT_S`) on a busy machine.
ANSWERED_S: Final = 40.0
# What all the requests of a test may add to the most that an ingress replica has ever taken. A body has 10 MB at most,
# packed or not, and a few are parsed at once.
PEAK_BYTES: Final = 400 * 1024 * 1024

Refused: Final = range(400, 500)


def holds_for(examples: int, check: Callable[..., None], **strategies: st.SearchStrategy[Any]) -> None:
    """Run a check on that many generated examples."""
    chosen = settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    chosen(given(**strategies)(check))()


class Client:
    """One connection that stays open: an answer that breaks it fails the next request."""

    def __init__(self, luna: LocalLuna, key: str) -> None:
        self._connection = HTTPConnection(*luna.address, timeout=ANSWERED_S)
        self._key = {"X-API-Key": key}

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
        """Status and body of an answer in time."""
        begun = time.monotonic()
        sent = self._key | {name.replace("_", "-"): value for name, value in headers.items()}
        self._connection.request(method, path, body, sent)
        answer = self._connection.getresponse()
        read = answer.read()
        assert time.monotonic() - begun < ANSWERED_S
        return answer.status, read

    def is_sane(self) -> None:
        """The same connection answers the next request as ever."""
        status, body = self.ask("POST", "/api/v1/kalman", b'{"results":[1,2,3]}', Content_Type="application/json")
        assert status == 200, body
        assert body.startswith(b'{"processed_results"'), body

    def close(self) -> None:
        self._connection.close()


def peak_bytes(luna: LocalLuna) -> int:
    """The most memory that an ingress replica has had so far."""
    peaks = []
    for process in luna.ingresses():
        with open(f"/proc/{process.pid}/status") as file:  # noqa: PTH123
            peaks += [int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM")]
    assert peaks
    return max(peaks)
