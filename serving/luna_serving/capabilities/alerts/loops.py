"""Periodic work: evaluation, delivery, Alertmanagers, gauges, retention."""

from datetime import timedelta
from typing import Final

from luna_serving.capabilities.alerts.metrics import AlertMetrics
from luna_serving.capabilities.alerts.parts import Kept, Parts
from luna_serving.capabilities.alerts.settings import AlertsSettings
from luna_serving.capabilities.alerts.store.due import lateness
from luna_serving.capabilities.alerts.store.outbox import OUTBOX
from luna_serving.capabilities.alerts.store.retention import remove_old
from luna_serving.jobs.background import Background
from luna_serving.jobs.loops import Loop
from luna_serving.settings import PlatformSettings
from luna_serving.telemetry.read_gauges import Once
from luna_store.platform.leases import Lease

AT_ONCE_S: Final = 0.05
ANNOUNCE_S: Final = 1.0
GAUGES_S: Final = 5.0
RETENTION_S: Final = 600.0
# Longer than a run takes by itself: a slower one hangs.
LONGEST_RUN_S: Final = 120.0


def loops(platform: PlatformSettings, settings: AlertsSettings) -> tuple[Loop[Background], ...]:
    """The capability's loops."""
    metrics = Once(AlertMetrics)
    parts = Parts(platform, settings, metrics)
    evaluators, deliverers, announcers = Kept(parts.evaluator), Kept(parts.deliverer), Kept(parts.announcer)

    async def evaluate(stores: Background, lease: Lease) -> None:
        await evaluators.of(stores).run(lease)

    async def deliver(stores: Background, _: Lease) -> None:
        await deliverers.of(stores).run()

    async def announce(stores: Background, lease: Lease) -> None:
        await announcers.of(stores).run(lease)

    async def gauges(stores: Background, _: Lease) -> None:
        found = await lateness(stores.engine)
        metrics(stores.registry).gauges.set(
            {
                "luna_alerts_rules": found.rules,
                "luna_alerts_rules_overdue": found.waiting,
                "luna_alerts_overdue_seconds": found.late_s,
                "luna_alerts_notifications_waiting": await OUTBOX.waiting(stores.engine),
            }
        )

    async def retain(stores: Background, lease: Lease) -> None:
        history, events = timedelta(days=settings.kept_days), timedelta(hours=settings.event_hours)
        await remove_old(stores.engine, lease, history=history, events=events)

    return (
        Loop("alerts.evaluation", AT_ONCE_S, evaluate, timeout_s=LONGEST_RUN_S, released=evaluators.stop),
        Loop("alerts.delivery", AT_ONCE_S, deliver, timeout_s=LONGEST_RUN_S, released=deliverers.stop),
        Loop("alerts.alertmanager", ANNOUNCE_S, announce, timeout_s=LONGEST_RUN_S),
        Loop("alerts.gauges", GAUGES_S, gauges, timeout_s=30.0),
        Loop("alerts.retention", RETENTION_S, retain, timeout_s=600.0),
    )
