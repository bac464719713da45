"""What capabilities provide: present values, and the durable log of alerts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from luna_serving.samples.answers import LatestSamples


class PortUnavailable(Exception):
    """What is behind a port does not answer."""

    def __init__(self, what: str) -> None:
        """Name it.

        Args:
            what: such as "Postgres".
        """
        super().__init__(f"{what} does not answer.")
        self.what = what


class Present(Protocol):
    """Present values of series."""

    async def latest(self, account_id: int, selectors: Sequence[str], *, most_series: int) -> LatestSamples:
        """The last sample of each series that a selector matches, at most `most_series` of them.

        Raises:
            PortUnavailable: no answer in time.
        """


@dataclass(frozen=True, slots=True)
class AlertHead:
    """Where the log of an account's alerts ends."""

    epoch: str
    """Names this log: another one, as after a restored backup, has another epoch. At most 64 of `A-Za-z0-9._-`."""
    seq: int
    """The number of the newest alert; 0 if there is none."""


@dataclass(frozen=True, slots=True)
class LoggedAlert:
    """One change of an alert: pending, firing or resolved."""

    seq: int
    alert: str
    """The alert as JSON, as `GET /alerts/active` shows it."""


class AlertLog(Protocol):
    """The durable log of the changes of alerts, by account.

    Numbers of an account begin at 1 and increase by one. They are assigned in the transaction that changes the alert,
    under a lock of the account's row, so that the order of commits is the order of numbers: who has seen number n never
    finds a smaller one later. After the commit the writer calls `publishing.publish_alert`; a publication that is lost
    is found by the hub, which compares `heads` every few seconds.
    """

    async def heads(self, account_ids: Sequence[int]) -> Mapping[int, AlertHead]:
        """Where the logs of accounts end; an account that never had an alert has number 0. Every account is answered.

        Raises:
            PortUnavailable: no answer in time.
        """

    async def missed(self, account_id: int, after_seq: int, most: int) -> Sequence[LoggedAlert]:
        """The alerts with greater numbers, in order, at most `most`. Alerts that are no longer kept are left out.

        Raises:
            PortUnavailable: no answer in time.
        """


class NoAlerts:
    """The log where the capability `alerts` is not served: one epoch for all processes, and no alert."""

    EPOCH = "none"

    async def heads(self, account_ids: Sequence[int]) -> Mapping[int, AlertHead]:
        """Number 0 for each."""
        return dict.fromkeys(account_ids, AlertHead(self.EPOCH, 0))

    async def missed(self, account_id: int, after_seq: int, most: int) -> Sequence[LoggedAlert]:  # noqa: ARG002
        """Nothing."""
        return ()
