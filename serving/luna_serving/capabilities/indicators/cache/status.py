"""How the cache handled a history: `Cache-Status` (RFC 9211)."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

NAME: Final = "luna"


class Outcome(StrEnum):
    """Where a history came from; the label of the counters."""

    HIT = "hit"
    """From the memory of this replica, or from Redis."""
    STALE = "stale"
    """As HIT, older than its time to live; it is being computed again."""
    MISS = "miss"
    COLLAPSED = "collapsed"
    """Another call was computing it, and this one waited."""
    BYPASS = "bypass"
    """Not asked for: inline bars, a large batch, or Redis is out of reach."""


@dataclass(frozen=True, slots=True)
class Status:
    """How one history was found."""

    outcome: Outcome
    ttl_s: int | None = None
    """Seconds that it stays fresh; negative if it is stale."""
    stored: bool = False

    def header(self) -> bytes:
        """The value of Cache-Status."""
        match self.outcome:
            case Outcome.HIT | Outcome.STALE:
                text = f"{NAME}; hit" + ("" if self.ttl_s is None else f"; ttl={self.ttl_s}")
            case Outcome.MISS:
                text = f"{NAME}; fwd=miss" + ("; stored" if self.stored else "")
            case Outcome.COLLAPSED:
                text = f"{NAME}; fwd=miss; collapsed"
            case Outcome.BYPASS:
                text = f"{NAME}; fwd=bypass"
        return text.encode()


BYPASSED: Final = Status(Outcome.BYPASS)
_ORDER: Final = (Outcome.BYPASS, Outcome.MISS, Outcome.COLLAPSED, Outcome.STALE, Outcome.HIT)


def combined(statuses: list[Status]) -> Status:
    """The status of an answer of several histories: a hit if all were, with the shortest time to live."""
    if not statuses:
        return BYPASSED
    worst = min((each.outcome for each in statuses), key=_ORDER.index)
    ttls = [each.ttl_s for each in statuses if each.ttl_s is not None]
    stored = all(each.stored for each in statuses if each.outcome is Outcome.MISS)
    return Status(worst, min(ttls) if ttls else None, stored=stored)
