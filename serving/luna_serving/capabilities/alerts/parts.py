"""What the loops of a worker are made of, and what routes share with them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Generic, Protocol, TypeVar

import httpx

from luna_serving.capabilities.alerts.delivery.announcer import Announcer
from luna_serving.capabilities.alerts.delivery.deliverer import Deliverer
from luna_serving.capabilities.alerts.evaluation.announcing import publisher
from luna_serving.capabilities.alerts.evaluation.batch import Batches
from luna_serving.capabilities.alerts.evaluation.evaluator import Evaluator
from luna_serving.capabilities.alerts.evaluation.outcomes import Telling
from luna_serving.capabilities.alerts.metrics import AlertMetrics
from luna_serving.capabilities.alerts.models.asking import Asks
from luna_serving.capabilities.alerts.models.scoring import Scoring
from luna_serving.capabilities.alerts.settings import AlertsSettings
from luna_serving.jobs.background import Background
from luna_serving.samples.client import CAPABILITY, Samples
from luna_serving.samples.requests import InstantQuery
from luna_serving.settings import PlatformSettings
from luna_serving.shards.client import ShardClient, ShardUnavailable
from luna_serving.telemetry.read_gauges import Once
from luna_serving.webhooks.addresses import Allowed
from luna_serving.webhooks.sending import Sender


class NoSamples:
    """In the place of samples where the capability `metrics` is not served."""

    async def instant(
        self, account_id: int, queries: Sequence[InstantQuery], *, most_samples: int = 0
    ) -> Sequence[Any]:
        """Raise ShardUnavailable."""
        del account_id, queries, most_samples
        raise ShardUnavailable("The capability metrics is not served, so rules have no samples. Serve it, too.")

    async def range(
        self, account_id: int, text: str, start_ms: int, end_ms: int, step_ms: int, *, most_samples: int = 0
    ) -> Any:  # noqa: ANN401
        """Raise ShardUnavailable."""
        del text, start_ms, end_ms, step_ms
        return await self.instant(account_id, (), most_samples=most_samples)


def samples_of(shards: ShardClient | None, settings: AlertsSettings) -> Asks:
    """The samples, where they are served."""
    return Samples(shards, timeout_s=settings.query_timeout_s) if shards is not None else NoSamples()


def telling_of(platform: PlatformSettings, settings: AlertsSettings) -> Telling:
    """How receivers hear of alerts."""
    return Telling(
        platform.edge.public_url,
        int(settings.repeat_s * 1000),
        int(settings.resend_s * 1000),
        bool(platform.alertmanager.url),
    )


class Stoppable(Protocol):
    """What a loop stops when it loses its lease."""

    def stop(self) -> None:
        """Stop what is under way."""


T = TypeVar("T")


@dataclass(slots=True)
class Kept(Generic[T]):
    """Made in the process that runs the loop, once: a loop travels to the workers before it has any."""

    make: Callable[[Background], T]
    made: T | None = None

    def of(self, stores: Background) -> T:
        """The object of this process."""
        if self.made is None:
            self.made = self.make(stores)
        return self.made

    def stop(self: "Kept[Any]") -> None:
        """Stop what is under way, if there is anything."""
        stoppable: Stoppable | None = self.made
        if stoppable is not None:
            stoppable.stop()


@dataclass(frozen=True, slots=True)
class Parts:
    """Makes what the loops run."""

    platform: PlatformSettings
    settings: AlertsSettings
    metrics: Once[AlertMetrics]

    def evaluator(self, stores: Background) -> Evaluator:
        """Evaluates rules."""
        settings = self.settings
        asks = samples_of(stores.shards.get(CAPABILITY), settings)
        telling = telling_of(self.platform, settings)
        batches = Batches(
            stores.engine,
            asks,
            Scoring(stores.engine, asks),
            telling,
            most_alerts=settings.max_alerts,
            most_waiting=settings.waiting_per_rule,
        )
        return Evaluator(
            stores.engine,
            batches,
            self.metrics(stores.registry),
            publisher(stores.redis),
            at_once=settings.rules_at_once,
            batch_rules=settings.batch_rules,
            slow_s=settings.slow_s,
        )

    def deliverer(self, stores: Background) -> Deliverer:
        """Delivers messages to webhooks."""
        webhooks, settings = self.platform.webhooks, self.settings
        return Deliverer(
            stores.engine,
            Sender(Allowed(webhooks.allow_http, webhooks.networks), timeout_s=webhooks.timeout_s),
            self.metrics(stores.registry),
            at_once=settings.at_once,
            per_account=settings.at_once_per_account,
            given_up_s=settings.retry_s,
        )

    def announcer(self, stores: Background) -> Announcer:
        """Sends alerts to Alertmanagers."""
        return Announcer(
            stores.engine,
            httpx.AsyncClient(timeout=self.platform.alertmanager.timeout_s),
            self.platform.alertmanager.url,
            self.metrics(stores.registry),
            resend=timedelta(seconds=self.settings.resend_s),
            retention=timedelta(seconds=self.settings.resolved_s),
            external_url=self.platform.edge.public_url,
        )
