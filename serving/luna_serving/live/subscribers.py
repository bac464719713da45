"""The bounded state of one client: which series have changed since its last message, and the alerts that wait.

A client that reads slowly holds up its own writer only: its changes are coalesced, so that it gets the last value of
each series when it reads again. Alerts are queued, and never dropped: a full queue closes the connection, and the
client resumes.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from luna_serving.live.ports import LoggedAlert
from luna_serving.live.positions import Position
from luna_serving.live.selectors import Selector
from luna_serving.live.series import LiveSeries

# RFC 6455, section 7.4.1, and the registry of IANA.
POLICY_VIOLATION: Final = 1008
TRY_AGAIN_LATER: Final = 1013
DEFAULT_RATE: Final = 4.0
HIGHEST_RATE: Final = 10.0
LOWEST_RATE: Final = 0.1
MOST_ALERTS: Final = 1_000
MOST_REPLIES: Final = 16


@dataclass(frozen=True, slots=True)
class Ending:
    """Why Luna ends a connection."""

    code: int
    """RFC 6455, section 7.4.1."""
    reason: str
    label: str
    """Of the metric."""


def too_many_series(most: int) -> Ending:
    """The end of a subscription that has come to match too much."""
    return Ending(POLICY_VIOLATION, f"More than {most} series match: narrow the selectors.", "too_many_series")


class Subscriber:
    """One client. Its writer takes; the hub, the wheel and the reader put."""

    def __init__(self, account_id: int, schedule: Callable[["Subscriber", float], None], most_series: int) -> None:
        """Make it, without a subscription.

        Args:
            account_id: whose series and alerts.
            schedule: has `due` called at a time of `time.monotonic`.
            most_series: more changed series than these close the connection.
        """
        self.account_id = account_id
        self.selectors: Sequence[Selector] = ()
        self.position = Position(0)
        self.epoch = ""
        self.wants_alerts = False
        self._following = False
        self.ending: Ending | None = None
        self.gone = False
        self._schedule = schedule
        self._most_series = most_series
        self._interval_s = 1 / DEFAULT_RATE
        self._open = False
        self._scheduled = False
        self._due = False
        self._due_at = 0.0
        self._sent_at = 0.0
        """When the last update was due, or sent if that was much later: so ticks do not lower the rate."""
        self._changed: dict[LiveSeries, None] = {}
        self._alerts: deque[LoggedAlert] = deque()
        self._replies: deque[str] = deque()
        self._some = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    def begin(self, epoch: str, position: Position, rate: float, *, alerts: bool) -> None:
        """Begin a subscription, or another one; updates are held until `open`, alerts until `follow`."""
        self.epoch, self.position, self._interval_s, self.wants_alerts = epoch, position, 1 / rate, alerts
        self._open = self._following = self._due = False
        self._changed.clear()
        # They are read again from the log: from `position` on.
        self._alerts.clear()

    def open(self, reply: str) -> None:
        """Send a reply, and updates after it."""
        self.reply(reply)
        self._open = True
        if self._changed:
            self.due()

    def note(self, series: LiveSeries) -> None:
        """A series has changed."""
        if series in self._changed:
            return
        if len(self._changed) >= self._most_series:
            if self._open:
                self.end(too_many_series(self._most_series))
            return
        self._changed[series] = None
        if self._open and not self._scheduled and not self._due:
            self._scheduled = True
            self._due_at = self._sent_at + self._interval_s
            self._schedule(self, self._due_at)

    def due(self) -> None:
        """The wheel says that an update may be sent."""
        self._scheduled = False
        self._due = True
        self._some.set()

    def follow(self) -> None:
        """Take alerts as they come: those between `position` and now have been queued."""
        self._following = True

    def heard(self, alert: LoggedAlert) -> None:
        """An alert has come; it is queued if the client wants alerts and has been sent those before it."""
        if self.wants_alerts and self._following:
            self.alert(alert)

    def alert(self, alert: LoggedAlert) -> None:
        """Queue an alert; a full queue ends the connection."""
        if len(self._alerts) >= MOST_ALERTS:
            self.end(Ending(TRY_AGAIN_LATER, "Alerts waited unread: connect again and resume.", "slow"))
            return
        self._alerts.append(alert)
        self._some.set()

    def reply(self, text: str) -> None:
        """Queue an answer to a message of the client."""
        self._replies.append(text)
        self._some.set()

    def end(self, ending: Ending | None) -> None:
        """End the connection: Luna closes it with a code, or the client has gone (None)."""
        if self.ending is None:
            self.ending = ending
        self.gone = True
        self._some.set()
        self._room.set()

    async def room(self) -> None:
        """Wait until the writer has sent most of what waits; the reader calls it before it puts more."""
        while not self.gone and (len(self._alerts) > MOST_ALERTS // 2 or len(self._replies) > MOST_REPLIES // 2):
            self._room.clear()
            await self._room.wait()

    async def waiting(self, seconds: float | None = None) -> bool:
        """Wait until there is something to send; False if nothing came in time."""
        while not (self._replies or self._alerts or (self._due and self._changed) or self.gone):
            self._some.clear()
            try:
                async with asyncio.timeout(seconds):
                    await self._some.wait()
            except TimeoutError:
                return False
        return True

    def take_reply(self) -> str | None:
        """The next answer to the client."""
        return self._replies.popleft() if self._replies else None

    def take_alert(self) -> LoggedAlert | None:
        """The next alert."""
        return self._alerts.popleft() if self._alerts else None

    def take_changes(self) -> list[LiveSeries]:
        """The changed series, if an update may be sent now."""
        if not (self._due and self._changed and self._open):
            return []
        changed = list(self._changed)
        self._changed.clear()
        self._due = False
        now = time.monotonic()
        self._sent_at = self._due_at if now - self._due_at < self._interval_s / 2 else now
        return changed

    def drained(self) -> None:
        """The writer has sent what it took."""
        self._room.set()
