"""Rules in Postgres that a test evaluates at times of its own: no clock, no waiting."""

import itertools
import uuid
from dataclasses import dataclass, field
from typing import Any

from prometheus_client import CollectorRegistry
from tests.capabilities.alerts.samples import MemorySamples
from tests.store.stores import Store

from luna_serving.capabilities.alerts.evaluation.batch import Batches
from luna_serving.capabilities.alerts.evaluation.evaluator import Evaluator
from luna_serving.capabilities.alerts.evaluation.outcomes import Telling
from luna_serving.capabilities.alerts.metrics import AlertMetrics
from luna_serving.capabilities.alerts.models.scoring import Scoring
from luna_serving.capabilities.alerts.store.reading import Alerts
from luna_serving.capabilities.alerts.store.records import AlertRecord, to_instant
from luna_serving.capabilities.alerts.store.rules import Rules, StoredRule
from luna_serving.capabilities.alerts.store.writing import Committed
from luna_store.audit.actors import Actor
from luna_store.platform.leases import Lease, acquire

# 2026-11-21T22:40:00Z.
START_MS = 1_795_300_800_000
NAMES = itertools.count()
BY = Actor("key:test")


async def _no_keep(_connection: Any, _stored: StoredRule) -> None:
    return None


@dataclass
class Evaluated:
    """An account's rules, and the evaluator."""

    store: Store
    account_id: int
    samples: MemorySamples
    evaluator: Evaluator
    lease: Lease
    registry: CollectorRegistry
    published: list[tuple[int, Committed]] = field(default_factory=list)

    @classmethod
    async def of(
        cls,
        store: Store,
        *,
        telling: Telling | None = None,
        most_alerts: int = 100,
        most_waiting: int = 1_000,
        **options: Any,
    ) -> "Evaluated":
        caller, samples, registry = await store.account(), MemorySamples(), CollectorRegistry()
        lease = await acquire(store.engine, f"loop:test{next(NAMES)}", "test", lasts_s=600)
        assert lease is not None
        made = cls(store, caller.account_id, samples, None, lease, registry)  # type: ignore[arg-type]

        async def announce(account_id: int, committed: Committed) -> None:
            made.published.append((account_id, committed))

        batches = Batches(
            store.engine,
            samples,
            Scoring(store.engine, samples),
            telling or Telling("", 4 * 3_600_000, 60_000, announces=False),
            most_alerts=most_alerts,
            most_waiting=most_waiting,
        )
        sizes = {"at_once": 1_000, "batch_rules": 100, "slow_s": 1.0} | options
        made.evaluator = Evaluator(store.engine, batches, AlertMetrics(registry), announce, **sizes)
        return made

    async def rule(self, expr: str = "cpu > 0.9", *, first_ms: int = START_MS, **members: Any) -> uuid.UUID:
        document = {"name": "hot", "expr": expr, "interval": "1m"} | members
        secret = "whsec_" + "c2VjcmV0" * 4 if "webhook" in document else None
        stored = await Rules(self.store.engine).create(
            self.account_id, document, secret, lambda _, __: to_instant(first_ms), _no_keep, most=1_000, by=BY
        )
        return stored.id

    async def at(self, minute: float) -> int:
        """Evaluate what is due so many minutes after the start; returns how many rules."""
        return await self.at_ms(START_MS + round(minute * 60_000))

    async def at_ms(self, at_ms: int) -> int:
        begun = await self.evaluator.look(self.lease, to_instant(at_ms).isoformat())
        await self.evaluator.finished()
        return begun

    def cpu(self, minute: float, value: float, host: str = "a") -> None:
        self.samples.put("cpu", START_MS + round(minute * 60_000), value, host=host)

    async def active(self) -> list[AlertRecord]:
        return await Alerts(self.store.engine).active(self.account_id, limit=100)

    async def history(self) -> list[AlertRecord]:
        return await Alerts(self.store.engine).history(self.account_id, limit=100)

    async def schedule(self, rule_id: uuid.UUID, column: str) -> Any:
        return await self.store.scalar(f"SELECT {column} FROM alert_schedule WHERE rule_id = :id", id=rule_id)

    async def messages(self) -> int:
        return int(await self.store.scalar("SELECT count(*) FROM alert_notifications") or 0)
