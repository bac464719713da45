"""A constant load on Luna whose every answer is checked, and what became of each call."""

from __future__ import annotations

import http.client
import itertools
import json
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Sequence

# Series that no two answers of mix up.
_SERIES = [[1120.0 + 7 * n, 1160.0, 963.0 - n, None, 1160.0 + n] * 10 for n in range(8)]
# The deadline that Luna has for a call, and a moment for the network.
PATIENCE_S = 75.0


@dataclass(frozen=True)
class Call:
    """One call: when it was sent and ended (monotonic seconds), and how.

    `outcome` is "answered", "refused" (503 or 429 with Retry-After), "wrong" (another answer than the one that was
    computed before), or "lost": an error, a timeout, another status.
    """

    begun: float
    ended: float
    outcome: str
    detail: str


class Load:
    """Calls at a constant rate from threads with a connection each, while the block runs."""

    def __init__(self, url: str, account_id: str, api_key: str, *, threads: int = 4, per_s: float = 20):
        """Prepare calls of `/kalman`, one series each: a call that is answered costs one unit."""
        self._where = url.removeprefix("http://")
        self._path = f"/api/v1/{account_id}/kalman"
        self._headers = {"X-API-Key": api_key, "Content-Type": "application/json"}
        self._bodies = [json.dumps({"results": series}).encode() for series in _SERIES]
        self._right: list[object] = []
        self._calls: list[Call] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(n, threads, per_s)) for n in range(threads)]

    def __enter__(self) -> Self:
        """Ask for the right answers, one after the other, then start."""
        for number in range(len(self._bodies)):
            call, answer = self._call(None, number)[:2]
            assert call.outcome == "answered", call.detail
            self._right.append(answer)
            self._calls.append(call)
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    @property
    def calls(self) -> list[Call]:
        """All that have ended."""
        with self._lock:
            return sorted(self._calls, key=lambda call: call.ended)

    def _work(self, first: int, threads: int, per_s: float) -> None:
        connection = None
        begun = time.monotonic()
        for n in itertools.count():
            # By the clock, not by the last answer: a slow answer is no smaller load.
            wait = begun + (n * threads + first) / per_s - time.monotonic()
            if self._stop.wait(max(0.0, wait)):
                break
            if wait < -1.0:
                begun -= wait
            call, _, connection = self._call(connection, (n * threads + first) % len(self._bodies))
            with self._lock:
                self._calls.append(call)
        if connection:
            connection.close()

    def _call(
        self, connection: http.client.HTTPConnection | None, number: int
    ) -> tuple[Call, object, http.client.HTTPConnection | None]:
        begun, answer = time.monotonic(), None
        kept = connection or http.client.HTTPConnection(self._where, timeout=PATIENCE_S)
        try:
            kept.request("POST", self._path, self._bodies[number], self._headers)
            response = kept.getresponse()
            text = response.read()
            detail = f"{response.status} {text[:200].decode(errors='replace')}"
            if response.status == 200:
                answer = json.loads(text)["processed_results"]
                right = not self._right or len(self._right) <= number or answer == self._right[number]
                outcome = "answered" if right else "wrong"
            elif response.status in (429, 503) and response.getheader("Retry-After"):
                outcome = "refused"
            else:
                outcome = "lost"
            if response.will_close:
                kept.close()
                return Call(begun, time.monotonic(), outcome, detail), answer, None
            return Call(begun, time.monotonic(), outcome, detail), answer, kept
        except (OSError, http.client.HTTPException, ValueError) as error:
            kept.close()
            return Call(begun, time.monotonic(), "lost", f"{type(error).__name__}: {error}"), None, None


def longest_silence(calls: Sequence[Call]) -> float:
    """Return the longest time between two answers, in seconds."""
    answered = [call.ended for call in calls if call.outcome == "answered"]
    return max((after - before for before, after in itertools.pairwise(answered)), default=0.0)
