"""The declaration of the alerts capability: rules, their evaluation and delivery."""

from typing import Final

from luna_serving.capabilities.alerts.evaluation.announcing import publisher
from luna_serving.capabilities.alerts.loops import loops
from luna_serving.capabilities.alerts.models.scoring import Scoring
from luna_serving.capabilities.alerts.parts import samples_of, telling_of
from luna_serving.capabilities.alerts.routes.alerts import AlertRoutes
from luna_serving.capabilities.alerts.routes.prometheus import PrometheusRoutes
from luna_serving.capabilities.alerts.routes.rules import LIMIT, RuleRoutes
from luna_serving.capabilities.alerts.routes.silences import SilenceRoutes
from luna_serving.capabilities.alerts.routes.simulate import SimulateRoutes
from luna_serving.capabilities.alerts.settings import AlertsSettings
from luna_serving.capabilities.alerts.store.event_log import EventLog
from luna_serving.capabilities.alerts.store.reading import Alerts
from luna_serving.capabilities.alerts.store.rules import Rules
from luna_serving.capabilities.alerts.store.silences import Silences
from luna_serving.capabilities.alerts.store.tables import (
    Alert,
    AlertEvent,
    AlertModel,
    AlertNotification,
    AlertRule,
    AlertSchedule,
    AlertSequence,
    AlertSilence,
)
from luna_serving.capabilities.contract import Capability, Platform, Routes
from luna_serving.samples.client import CAPABILITY
from luna_serving.webhooks.addresses import Allowed
from luna_store.platform.idempotency import IdempotencyKeys

NAME: Final = "alerts"


def serve(platform: Platform, settings: AlertsSettings) -> Routes:
    """Wire the routes in an ingress replica."""
    common, authorization, engine = platform.settings, platform.authorization, platform.engine
    telling = telling_of(common, settings)
    announce = publisher(platform.redis)
    allowed = Allowed(common.webhooks.allow_http, common.webhooks.networks)
    asks = samples_of(platform.shards.get(CAPABILITY), settings)
    rules, alerts, timeout_s = Rules(engine), Alerts(engine), common.edge.request_timeout_s
    simulate = SimulateRoutes(
        authorization,
        platform.charges,
        asks,
        Scoring(engine, asks),
        allowed,
        settings.simulated_evaluations,
        settings.max_alerts,
        timeout_s,
    )
    keys = IdempotencyKeys(engine)
    platform.alert_log.provide(EventLog(engine))
    return Routes(
        routers=[
            # Before the rules: its path would be the id of one.
            simulate.router(),
            RuleRoutes(authorization, rules, keys, allowed, telling, announce, timeout_s).router(),
            AlertRoutes(authorization, engine, alerts, telling, announce).router(),
            SilenceRoutes(authorization, Silences(engine, most=settings.max_silences), timeout_s).router(),
            PrometheusRoutes(authorization, rules, alerts).router(),
        ]
    )


ALERTS: Final = Capability(
    name=NAME,
    settings=AlertsSettings,
    serve=serve,
    limits=(LIMIT,),
    tables=(
        Alert,
        AlertEvent,
        AlertModel,
        AlertNotification,
        AlertRule,
        AlertSchedule,
        AlertSequence,
        AlertSilence,
    ),
    loops=loops,
)
