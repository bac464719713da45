"""`Prefer: wait=10` of calls that may answer before their work is done (RFC 7240, section 4.3)."""

import math
import re
from collections.abc import Iterable
from typing import Annotated, Any, Final

from fastapi import Header

from luna_serving.edge.bodies import Scope, header_map
from luna_serving.edge.deadline_header import timeout_s

WHAT: Final = (
    "`wait=10`: wait up to so many seconds, at most as long as a call may take, and answer then; `Preference-Applied` "
    "says how long at most."
)
# Parameter of FastAPI routes, so that their documentation shows the header; `wait_of` reads it.
PreferHeader = Annotated[str | None, Header(alias="Prefer", description=WHAT)]
APPLIED: Final[dict[str, Any]] = {"Preference-Applied": {"schema": {"type": "string"}, "description": "`wait=10`"}}
_WAIT: Final = re.compile(r'wait\s*=\s*(?:"(\d{1,9})"|(\d{1,9}))', re.ASCII | re.IGNORECASE)


def wait_of(values: Iterable[str]) -> int | None:
    """The seconds of the first preference `wait`; None without one. Preferences that cannot be read are ignored."""
    for value in values:
        for preference in value.split(","):
            if found := _WAIT.fullmatch(preference.split(";")[0].strip()):
                return int(found[1] or found[2])
    return None


def wait_within(scope: Scope, longest_s: float) -> int | None:
    """The whole seconds that a request may wait: what it prefers, within its time; None if it prefers nothing."""
    wanted = wait_of(value.decode("latin-1") for name, value in scope["headers"] if name == b"prefer")
    if wanted is None:
        return None
    return at_most(wanted, min(timeout_s(header_map(scope)) or longest_s, longest_s))


def at_most(wanted: int, longest_s: float) -> int:
    """The whole seconds of a wait that may take `longest_s`."""
    return min(wanted, math.floor(longest_s))


def prefers_async(values: Iterable[str]) -> bool:
    """Whether a caller prefers an answer before the work is done (RFC 7240, section 4.1)."""
    preferences = (preference for value in values for preference in value.split(","))
    return any(each.split(";")[0].strip().lower() == "respond-async" for each in preferences)
