"""All subscribers of an ingress replica, and what keeps them up to date.

Changes come by the bus. While it is down the hub polls present values, which is slower and gives the same answers; it
reads them again after each outage, and every half a minute in case a publication was lost. Alerts come by the bus as
well; their log decides: a gap in their numbers, or a head that is further on, has the missing ones read from it.
"""

import asyncio
import logging
import time
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from redis.asyncio import Redis

from luna_serving.live.accounts import WatchedAccount
from luna_serving.live.bus import Bus
from luna_serving.live.encoding import Alerted, Changed, Message
from luna_serving.live.metrics import LiveMetrics
from luna_serving.live.ports import AlertHead, AlertLog, LoggedAlert, PortUnavailable, Present
from luna_serving.live.positions import Position
from luna_serving.live.selectors import Selector, compiled
from luna_serving.live.subscribers import TRY_AGAIN_LATER, Ending, Subscriber
from luna_serving.live.wheel import Wheel

log = logging.getLogger("luna.live")

# Seconds between readings of present values without the bus, and with it.
POLL_S: Final = 1.0
REPAIR_S: Final = 30.0
# Seconds between looks at the heads of the logs of alerts, with the bus.
HEADS_S: Final = 5.0
ALERTS_AT_ONCE: Final = 200
# Different selectors of an account: each series that is new here is compared with all of them, some microseconds each.
MOST_SELECTORS: Final = 2_000

Why = Literal["subscribed", "outage", "reconnected", "repair", "requested"]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A subscription."""

    selectors: Sequence[str]
    rate: float
    """Updates per second at most."""
    alerts: bool
    epoch: str | None = None
    """Where the client was; None if it begins."""
    seq: int = 0
    pointer: str = "/selectors"
    """Where the selectors are in the request, for errors."""


class TooManySeries(Exception):
    """The selectors match more series than one subscription may have."""


class TooManySelectors(Exception):
    """The account would watch more different selectors here than one may; each new series is compared with all."""


class Hub:
    """The subscribers of this process."""

    def __init__(
        self, redis: Redis, present: Present, alerts: AlertLog, metrics: LiveMetrics, *, most_series: int
    ) -> None:
        """Wire it.

        Args:
            redis: where changes are published.
            present: present values.
            alerts: the log of alerts.
            metrics: of this room.
            most_series: that one subscription may match.
        """
        self._present = present
        self._alerts = alerts
        self._metrics = metrics
        self._most_series = most_series
        self._accounts: dict[int, WatchedAccount] = {}
        self._bus = Bus(redis, self._heard, self._hears_again, self._hears_nothing)
        self._wheel: Wheel[Subscriber] = Wheel(Subscriber.due)
        self._polling = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._started = False

    def connect(self, account_id: int) -> Subscriber:
        """A client of an account, without a subscription; `leave` it in any case."""
        self._start()
        account = self._accounts.get(account_id)
        if account is None:
            account = self._accounts[account_id] = WatchedAccount(account_id, self._most_series)
        subscriber = Subscriber(account_id, self._wheel.schedule, self._most_series)
        account.subscribers.add(subscriber)
        return subscriber

    def leave(self, subscriber: Subscriber) -> None:
        """Forget a client."""
        subscriber.end(None)
        account = self._accounts[subscriber.account_id]
        account.part(subscriber)
        account.subscribers.discard(subscriber)
        if not account.subscribers:
            del self._accounts[subscriber.account_id]
            self._bus.forget(subscriber.account_id)

    @property
    def connections(self) -> int:
        """How many clients there are here."""
        return sum(len(each.subscribers) for each in self._accounts.values())

    def of_account(self, account_id: int) -> int:
        """How many clients an account has here."""
        account = self._accounts.get(account_id)
        return 0 if account is None else len(account.subscribers)

    async def subscribe(self, subscriber: Subscriber, wanted: Wanted) -> bool:
        """Begin a subscription instead of the one before; the caller then opens the subscriber and calls `follow`.

        Returns:
            Whether it goes on where the client was.

        Raises:
            SelectorRefused, TooManySelectors: the subscription before goes on.
            TooManySeries, PortUnavailable: there is none now.
        """
        account = self._accounts[subscriber.account_id]
        selectors = [(text, compiled(text, f"{wanted.pointer}/{i}")) for i, text in enumerate(wanted.selectors)]
        self._require_room(account, wanted.selectors)
        await self._bus.watch(account.account_id)
        # Alerts of a resumed subscription may be newer than this process knows.
        head = await self._head(account, at_least=wanted.seq >> 20 if wanted.epoch else 0)
        resumed = wanted.epoch == head.epoch and Position.of(wanted.seq).alert <= head.seq
        again = subscriber.epoch == head.epoch
        position = Position.of(wanted.seq) if resumed else subscriber.position if again else Position(head.seq)
        # Others may have subscribed meanwhile.
        self._require_room(account, wanted.selectors)
        subscriber.begin(head.epoch, position, wanted.rate, alerts=wanted.alerts)
        account.join(subscriber, selectors)
        try:
            await self._load(account, subscriber)
        except BaseException:
            account.part(subscriber)
            raise
        for selector in subscriber.selectors:
            for series in selector.series.values():
                subscriber.note(series)
        return resumed

    @staticmethod
    def _require_room(account: WatchedAccount, texts: Sequence[str]) -> None:
        if len(account.selectors) + len(set(texts) - account.selectors.keys()) > MOST_SELECTORS:
            raise TooManySelectors

    async def follow(self, subscriber: Subscriber) -> None:
        """Queue the alerts after the subscriber's position, then those that come; ends the client if that fails."""
        account = self._accounts[subscriber.account_id]
        after = subscriber.position.alert
        try:
            while subscriber.wants_alerts and not subscriber.gone and after < self._known(account):
                missed = await self._alerts.missed(account.account_id, after, ALERTS_AT_ONCE)
                for each in missed:
                    await subscriber.room()
                    subscriber.alert(each)
                after = missed[-1].seq if missed else self._known(account)
        except PortUnavailable as e:
            subscriber.end(Ending(TRY_AGAIN_LATER, f"{e} Connect again and resume.", "log"))
        subscriber.follow()

    async def close(self) -> None:
        """Stop; called when the replica stops."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _start(self) -> None:
        # With the first client: a replica without any listens to nothing.
        if not self._started:
            self._started = True
            self._spawn(self._bus.run(), "live updates from Redis")
            self._spawn(self._wheel.run(), "live updates to clients")
            self._spawn(self._keep_present(), "present values for live updates")
            self._spawn(self._keep_alerts(), "missed alerts for live updates")

    def _spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The bus.

    def _heard(self, account_id: int, message: Message) -> None:
        account = self._accounts.get(account_id)
        if account is None:
            return
        match message:
            case Changed():
                self._metrics.lag.observe(max(0.0, time.time() - message.sent_at))
                account.apply(message.keys, message.timestamps, message.values, time.monotonic())
            case Alerted():
                self._alerted(account, message)
            case _:
                self._spawn(self._refresh(account, "requested"), f"present values of {account_id}")

    def _alerted(self, account: WatchedAccount, message: Alerted) -> None:
        head = account.head
        if head is not None and head.epoch == message.epoch and message.seq <= head.seq + 1:
            account.deliver(LoggedAlert(message.seq, message.alert))
        elif not account.behind:
            account.behind = True
            if head is not None:
                self._spawn(self._catch_up(account), f"missed alerts of {account.account_id}")

    async def _hears_again(self) -> None:
        if self._polling:
            log.info("live updates hear Redis again")
        self._polling = False
        self._metrics.polling.set(0)
        for account in list(self._accounts.values()):
            await self._refresh(account, "reconnected")
            await self._catch_up(account)

    def _hears_nothing(self) -> None:
        self._polling = True
        self._metrics.polling.set(1)

    # Present values.

    async def _load(self, account: WatchedAccount, subscriber: Subscriber) -> None:
        async with account.loading:
            missing = [each for each in subscriber.selectors if not each.loaded]
            if missing:
                await self._read(account, missing, "subscribed")
        if not all(each.loaded for each in subscriber.selectors) or self._matched(subscriber) > self._most_series:
            raise TooManySeries

    @staticmethod
    def _matched(subscriber: Subscriber) -> int:
        if len(subscriber.selectors) == 1:
            return len(subscriber.selectors[0].series)
        return len({key for each in subscriber.selectors for key in each.series})

    async def _refresh(self, account: WatchedAccount, why: Why) -> None:
        async with account.loading:
            if account.selectors:
                try:
                    await self._read(account, list(account.selectors.values()), why)
                except PortUnavailable as e:
                    log.warning("present values of account %d: %s", account.account_id, e)

    async def _read(self, account: WatchedAccount, selectors: Sequence[Selector], why: Why) -> None:
        self._metrics.refreshes.labels(why).inc()
        most = self._most_series * len(selectors)
        asked_at = time.monotonic()
        texts = [each.text for each in selectors]
        present = await self._present.latest(account.account_id, texts, most_series=most + 1)
        whole = len(present.keys) <= most
        account.apply_present(present, selectors, asked_at, time.monotonic(), whole=whole)

    async def _keep_present(self) -> None:
        repaired_at = time.monotonic()
        while True:
            await asyncio.sleep(POLL_S)
            if not self._polling and time.monotonic() - repaired_at < REPAIR_S:
                continue
            why: Why = "outage" if self._polling else "repair"
            repaired_at = time.monotonic()
            for account in list(self._accounts.values()):
                try:
                    await self._refresh(account, why)
                except Exception:
                    # The others go on, and this one is read again in a while.
                    log.exception("present values of account %d", account.account_id)

    # Alerts.

    @staticmethod
    def _known(account: WatchedAccount) -> int:
        return 0 if account.head is None else account.head.seq

    async def _head(self, account: WatchedAccount, at_least: int) -> AlertHead:
        if account.head is None or account.behind or account.head.seq < at_least:
            await self._read_alerts(account)
        assert account.head is not None  # noqa: S101  `_read_alerts` sets it or raises
        return account.head

    async def _catch_up(self, account: WatchedAccount) -> None:
        try:
            await self._read_alerts(account)
        except PortUnavailable as e:
            log.warning("missed alerts of account %d: %s", account.account_id, e)

    async def _read_alerts(self, account: WatchedAccount) -> None:
        async with account.reading:
            account.behind = False
            try:
                head = (await self._alerts.heads([account.account_id]))[account.account_id]
                await self._deliver_until(account, head)
            except PortUnavailable:
                account.behind = True
                raise

    async def _deliver_until(self, account: WatchedAccount, head: AlertHead) -> None:
        if account.head is None or account.head.epoch != head.epoch:
            account.head = head
            for each in account.subscribers:
                if each.epoch not in ("", head.epoch):
                    each.epoch, each.position = head.epoch, Position(head.seq)
            return
        while account.head.seq < head.seq:
            missed = await self._alerts.missed(account.account_id, account.head.seq, ALERTS_AT_ONCE)
            for alert in missed:
                account.deliver(alert)
            if not missed:
                account.head = head

    async def _keep_alerts(self) -> None:
        looked_at = time.monotonic()
        while True:
            await asyncio.sleep(POLL_S)
            waiting = [each for each in self._accounts.values() if each.head is not None]
            behind = any(each.behind for each in waiting)
            if not waiting or not (self._polling or behind or time.monotonic() - looked_at >= HEADS_S):
                continue
            looked_at = time.monotonic()
            try:
                heads = await self._alerts.heads([each.account_id for each in waiting])
            except PortUnavailable as e:
                log.warning("alerts for live updates: %s", e)
                continue
            for account in waiting:
                if account.behind or account.head != heads[account.account_id]:
                    await self._catch_up(account)
