"""`Prefer: wait=20` (RFC 7240, section 4.3): how long a caller wants to wait for an answer."""

import re
from typing import Annotated, Final

from fastapi import Header

# Below the time that proxies allow an answer to take.
LONGEST_S: Final = 25.0
_WAIT: Final = re.compile(r"(?:^|,)\s*wait\s*=\s*\"?(\d{1,4})\"?\s*(?:;[^,]*)?(?=,|$)", re.IGNORECASE)

PreferHeader = Annotated[
    str | None,
    Header(
        alias="Prefer", description=f"`wait=20`: answer when the state is final, or after 20 s; {LONGEST_S:g} at most."
    ),
]


def wait_s(prefer: str | None) -> float:
    """The seconds that a caller wants to wait; 0 if it does not say. What is not understood is ignored, as it must."""
    found = _WAIT.search(prefer or "")
    return min(float(found[1]), LONGEST_S) if found else 0.0
