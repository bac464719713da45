"""From the facts of answered requests to rows in Postgres' format."""

import re
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

from luna_serving.access.credentials import Credential
from luna_store.requests.writing import Shared, network_of, row, shared

Fact: TypeAlias = tuple[float, float, Credential | None, str, str, int, int, str, str]
"""One answered request, as the edge hands it over: when it ended (`time.perf_counter`), the seconds it took, what the
caller presented, method, route, status, bytes of the body, request id, the client's address. A plain tuple of values
that exist anyway: every request makes one."""

MAX_SHARED: Final = 16_384
"""Begins of rows in memory, about 200 bytes each."""
METHOD: Final = re.compile(r"[A-Z]{1,16}")
OTHER_METHOD: Final = "_OTHER"
"""What OpenTelemetry calls a method that is none."""
UNAUTHENTICATED: Final = 401


class Rows:
    """Makes rows. Each gets an id of its own, so that a batch that is sent twice is recognised."""

    def __init__(
        self,
        owner_of: Callable[[Credential], int | None],
        left_out: frozenset[str],
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Wire it.

        Args:
            owner_of: the account of a credential that was recognised before.
            left_out: routes that are not logged.
            clock: Unix seconds.
            ticks: seconds of the clock that the facts have.
        """
        self._owner_of = owner_of
        self._left_out = left_out
        self._clock = clock
        self._ticks = ticks
        self._begins: dict[tuple[int | None, str | None, str, str, int, str], bytes] = {}
        self._id = secrets.randbits(30) << 32
        self.strangers = 0
        """How many further rows of callers that were not recognised are made."""
        self.left_out = 0
        """How many were not, because `strangers` was used up."""

    def of(self, facts: Sequence[Fact]) -> list[bytes]:
        """The rows of these requests."""
        # One offset for all: the wall clock is asked once, and may be set while the process runs.
        offset = self._clock() - self._ticks()
        rows: list[bytes] = []
        row_id = self._id
        begins, owner_of, left_out = self._begins, self._owner_of, self._left_out
        for ended, seconds, credential, method, route, status, size, request_id, address in facts:
            if route in left_out:
                continue
            account_id = principal = None
            if credential is not None and status != UNAUTHENTICATED:
                account_id = owner_of(credential)
                if account_id is not None:
                    principal = credential.principal
            if account_id is None:
                if self.strangers <= 0:
                    self.left_out += 1
                    continue
                self.strangers -= 1
            key = (account_id, principal, method, route, status, address)
            begin = begins.get(key) or self._begin(key)
            row_id += 1
            rows.append(row(begin, seconds * 1e3, size, ended + offset, row_id, request_id.encode()))
        self._id = row_id
        return rows

    def _begin(self, key: tuple[int | None, str | None, str, str, int, str]) -> bytes:
        account_id, principal, method, route, status, address = key
        if len(self._begins) >= MAX_SHARED:
            self._begins.clear()
        known = method if METHOD.fullmatch(method) else OTHER_METHOD
        begin = shared(Shared(account_id, principal, known, route, status, network_of(address)))
        self._begins[key] = begin
        return begin
