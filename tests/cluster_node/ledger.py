"""What the ledger says that an account has used: read from Postgres through Luna's own API."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

# The operator carries debits into Postgres every few seconds; after an outage it has more to carry.
_SETTLED_S = 120.0
_STILL_S = 12.0


def used(url: str, api_key: str) -> int:
    """Return the units of all routes since the account began.

    Raises:
        OSError: Luna does not answer.
    """
    request = urllib.request.Request(f"{url}/api/v1/usage?step=day", headers={"X-API-Key": api_key})
    with urllib.request.urlopen(request, timeout=30) as answer:
        usage = json.loads(answer.read())["usage"]
    return sum(point["units"] for point in usage)


def settled(url: str, api_key: str, expected: int, clock: Callable[[], float] = time.monotonic) -> int:
    """Return what the ledger holds once it is `expected`, or once it has not moved for long enough."""
    deadline, found, since = clock() + _SETTLED_S, -1, clock()
    while clock() < deadline and clock() - since < _STILL_S + (0 if found >= 0 else _SETTLED_S):
        try:
            now = used(url, api_key)
        except (OSError, urllib.error.HTTPError):
            time.sleep(1.0)
            continue
        if now == expected:
            return now
        if now != found:
            found, since = now, clock()
        time.sleep(1.0)
    return found
