"""The operator as a whole: everything made once, connected, started and stopped in order. The composition root."""

import asyncio
import logging
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import kopf
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from luna_operator import handlers
from luna_operator.database_schema import DatabaseSchema
from luna_operator.endpoints import endpoints
from luna_operator.health import Heartbeats, Stalled
from luna_operator.kube.client import ApiServer
from luna_operator.kube.events import Events
from luna_operator.kube.resources import Resources
from luna_operator.kube.secrets import SecretsClient
from luna_operator.metrics import Metrics, SettlementMetrics
from luna_operator.reconcile.act import Actor
from luna_operator.reconcile.observe import Observer
from luna_operator.reconcile.queue import WorkQueue
from luna_operator.reconcile.reconciler import Reconciler
from luna_operator.reconcile.repairs import Repairs
from luna_operator.reconcile.resource_cache import ResourceCache
from luna_operator.reconcile.sweep import Sweep
from luna_operator.reconcile.usage_report import UsageReport
from luna_operator.reconcile.watch_events import WatchEvents
from luna_operator.reconcile.watch_health import WatchHealth
from luna_operator.reconcile.workers import Workers
from luna_operator.settings import Settings
from luna_operator.signals import set_on_signals
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.provisioning import Provisioning
from luna_store.accounts.secrets import Secrets
from luna_store.people.reconciled import ResourceMembers
from luna_store.platform.postgres import POSTGRES_GONE, async_engine
from luna_store.quota.redis_quota import redis_client
from luna_store.settlement.settlement import Settler

if TYPE_CHECKING:
    from luna_store.platform.traces import Traces

log = logging.getLogger("luna.operator")

SETTLE_AT_THE_END_S = 2.0
# Kopf reopens a silent stream after 90 s, and logs in again after 60; a longer silence is a fault.
SILENCE_S = 300.0


class PepperForgottenError(Exception):
    """Keys made under these peppers would be unknown, and replaced."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(
            f"LUNA_PEPPERS does not hold {', '.join(names)}, under which live keys were made. Put it behind the "
            "current one; if it is lost, set LUNA_OPERATOR_REISSUE_UNKNOWN_KEYS=true once: these Accounts get new keys."
        )


class EndedByItselfError(Exception):
    """A part of the operator ended by itself; restart the operator."""

    def __init__(self) -> None:
        super().__init__("A part of the operator ended by itself; what it logged before says why.")


async def run(settings: Settings, secrets: Secrets, instance: str, stop: asyncio.Event) -> None:
    """Run until `stop` is set.

    Args:
        settings: how to behave.
        secrets: where the stores are.
        instance: this replica's name, for Events.
        stop: ends it within seconds.

    Raises:
        PepperMissing: LUNA_PEPPERS is unusable.
        PepperForgottenError: it lacks one that is in use.
        kubernetes.aio.config.ConfigException: no API server is configured.
        EndedByItselfError, ExceptionGroup: a part of it ended without being asked to.
    """
    metrics, peppers = Metrics(), secrets.peppers
    url, max_age = str(settings.public_url).rstrip("/"), timedelta(seconds=settings.usage_max_age_s)
    pulse = Heartbeats(
        {"leadership": 120.0, "sweep": 10 * settings.sweep_s + 300.0, "usage": 10 * settings.usage_s + 300.0}
    )
    async with AsyncExitStack() as stack:
        engine = async_engine(
            secrets.database_url.get_secret_value(), actor="operator", pool_size=settings.workers + 4, ping=False
        )
        stack.push_async_callback(engine.dispose)
        redis = redis_client(secrets.redis_url.get_secret_value(), timeout_s=5.0, max_connections=settings.workers + 8)
        stack.push_async_callback(redis.aclose)
        api = await ApiServer.connect(metrics.requested, connections=settings.workers + 4)
        stack.push_async_callback(api.close)

        known, queue, hearing, repairs = ResourceCache(), WorkQueue(), WatchHealth(), Repairs()
        schema = DatabaseSchema(engine, secrets.database_url.get_secret_value(), may_migrate=settings.migrate)
        provisioning, cache = Provisioning(engine, peppers), AccountCache(engine, redis)
        members = ResourceMembers(engine)
        resources, kube_secrets = Resources(api), SecretsClient(api)
        if (unknown := await provisioning.unknown_peppers()) and not settings.reissue_unknown_keys:
            raise PepperForgottenError(unknown)
        observer = Observer(known, provisioning, members, cache, kube_secrets, url=url)
        actor = Actor(known, observer, resources, kube_secrets, provisioning, members, cache, metrics, url=url)
        events = Events(api, instance)
        reconciler = Reconciler(known, observer, actor, resources, events, repairs, usage_max_age=max_age)
        workers = Workers(
            engine,
            queue,
            reconciler,
            Sweep(known, queue, hearing, observer, resources, kube_secrets, cache, metrics, repairs),
            UsageReport(known, queue, provisioning, resources, max_age=max_age),
            metrics,
            pulse,
            workers=settings.workers,
            sweep_s=settings.sweep_s,
            usage_s=settings.usage_s,
        )
        traces = _traces(settings.trace_endpoint)
        if traces is not None:
            stack.push_async_callback(asyncio.to_thread, traces.close)
        settler = Settler(engine, redis, observer=SettlementMetrics(metrics.registry), traces=traces)

        def alive() -> dict[str, float]:
            if (silence := hearing.silence_s()) > SILENCE_S:
                raise Stalled(f"The watch has not reported a change that a list showed {silence:.0f} s ago.")
            return pulse.check()

        async def not_ready() -> str | None:
            try:
                async with asyncio.timeout(2):
                    mismatch = await schema.lacking()
            except POSTGRES_GONE as e:
                return f"Postgres is out of reach: {type(e).__name__}"
            return None if mismatch is None else str(mismatch)

        registry = kopf.OperatorRegistry()
        handlers.register(registry, WatchEvents(known, queue, hearing), alive)
        kopf_settings = kopf.OperatorSettings()
        handlers.configure(kopf_settings)
        await stack.enter_async_context(
            endpoints(metrics.registry, not_ready, host=settings.host, port=settings.metrics_port)
        )
        async with asyncio.TaskGroup() as tasks:
            settling = tasks.create_task(settler.run(stop))
            working = tasks.create_task(workers.run())
            liveness = f"http://{settings.host}:{settings.health_port}/healthz"
            watching = tasks.create_task(_watch(registry, kopf_settings, liveness, stop))
            looking = tasks.create_task(schema.run())
            await _first(stop, settling, working, watching, looking)
            asked = stop.is_set()
            stop.set()
            for task in (working, looking):
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
            await settling
        with suppress(TimeoutError, SQLAlchemyError, RedisError, OSError):
            await asyncio.wait_for(settler.settle(), SETTLE_AT_THE_END_S)
        log.info("the operator ends")
    if not asked:
        raise EndedByItselfError


def _traces(endpoint: str) -> "Traces | None":
    if not endpoint:
        return None
    # Imported here: it takes 0.2 s, and traces are off by default.
    from luna_store.platform.traces import Traces

    return Traces.to(endpoint, "luna-operator")


async def _watch(
    registry: kopf.OperatorRegistry, settings: kopf.OperatorSettings, liveness: str, stop: asyncio.Event
) -> None:
    """Run Kopf until `stop` is set."""
    ours = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=settings,
        clusterwide=True,
        standalone=True,
        liveness_endpoint=liveness,
        stop_flag=stop,
    )
    # Kopf has taken the signals: it would end alone, and cancel the work of the others 5 s later.
    set_on_signals(stop)
    await kopf.run_tasks(tasks, ignored=ours)


async def _first(stop: asyncio.Event, *tasks: asyncio.Task[None]) -> None:
    """Wait for the signal, or for a task that should not have ended."""
    waiting = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
