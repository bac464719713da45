"""Wires an ingress replica: stores, access, dispatch, and every capability's routes."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from luna_serving.access.credentials import Authenticator
from luna_serving.access.holds import Holds
from luna_serving.access.redis_outage import RedisOutage
from luna_serving.access.request_log.wiring import request_log
from luna_serving.access.throttle.attempts import Attempts
from luna_serving.access.throttle.metrics import ThrottleMetrics
from luna_serving.access.throttle.redis_buckets import RedisBuckets
from luna_serving.access.tokens import Tokens
from luna_serving.access.wiring import access
from luna_serving.capabilities.contract import Capability, Platform, Routes
from luna_serving.dispatch.gate import GateLimits
from luna_serving.dispatch.replica_call import LEARNING_S, on_replica
from luna_serving.dispatch.series import SeriesSources
from luna_serving.edge import operations_routes
from luna_serving.edge.asgi import Edge
from luna_serving.edge.bodies import ASGIApp
from luna_serving.edge.client_address import TrustedProxies
from luna_serving.edge.cors import Cors, SocketOrigins
from luna_serving.edge.deployment import Connected
from luna_serving.edge.fastapi_app import build_api
from luna_serving.edge.operation import check_retried
from luna_serving.edge.recording import Recorder
from luna_serving.edge.refused_credentials import RefusedCredentials
from luna_serving.edge.security_headers import StrictTransport
from luna_serving.edge.sockets import Sockets
from luna_serving.jobs.routes import routes as job_routes
from luna_serving.jobs.routes.parts import JobParts
from luna_serving.jobs.routes.watching import Watching, WatchMetrics
from luna_serving.jobs.service import JobService
from luna_serving.jobs.wake import Waker
from luna_serving.jobs.webhooks import routes as webhook_routes
from luna_serving.live.provided import ProvidedAlertLog
from luna_serving.objects.wiring import object_store
from luna_serving.prices.sources import PriceSources
from luna_serving.settings import Settings
from luna_serving.shards.client import clients
from luna_serving.telemetry.board_deployment import Reporter
from luna_serving.telemetry.health import Health
from luna_serving.telemetry.metrics import AccessMetrics, DispatchMetrics, RequestMetrics
from luna_serving.telemetry.process import ProcessTelemetry, begin
from luna_serving.telemetry.replica_counts import ReplicaCounts
from luna_serving.telemetry.system import System
from luna_serving.webhooks.addresses import Allowed
from luna_store.accounts.accounts import Accounts
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.own_keys import OwnKeys
from luna_store.accounts.postgres_quota import PostgresQuota
from luna_store.accounts.secrets import Secrets
from luna_store.platform.idempotency import IdempotencyKeys
from luna_store.platform.postgres import ANSWER_S, ask, async_engine
from luna_store.quota.redis_quota import RedisQuota, redis_client


async def connect(
    capabilities: Sequence[Capability],
    settings: Settings,
    board: Any,  # noqa: ANN401  a DeploymentHandle
    hosts: Mapping[str, Any],
    shards: Mapping[str, Sequence[Any]],
    workers: Any,  # noqa: ANN401  a DeploymentHandle
) -> Connected:
    """Wire an ingress replica, in its own process and on its own loop.

    Args:
        capabilities: what it serves.
        settings: of the platform and of each capability.
        board: the handle of the metrics board.
        hosts: by capability, the handle of the deployment that computes for it.
        shards: by capability, the handles of its shards.
        workers: the handle of the deployment of periodic work.
    """
    common = settings.platform
    telemetry = begin("ingress", common.log, common.trace)
    platform, outage = await wire_platform(capabilities, settings, hosts, shards, telemetry)
    routes = [each.serve(platform, settings.capabilities[each.name]) for each in capabilities]
    reporter = Reporter(board, telemetry.registry)
    reporter.start("ingress")

    pings = {name: partial(handle.ping.remote, name) for name, handle in hosts.items()}
    others: dict[str, Callable[[], Awaitable[object]]] = {"workers": workers.ping.remote}
    # Shown only: the other capabilities are served without them, and their own calls wait or answer 503.
    others |= {handle.deployment_name: handle.ping.remote for each in shards.values() for handle in each}
    if platform.objects is not None:
        others["objects"] = platform.objects.ping
    health = Health({"redis": platform.redis.ping, "postgres": partial(ask, platform.engine)}, pings, others)

    def facts() -> dict[str, Any]:
        return {"proxy": common.proxy, "debits_from": "postgres" if outage.gone else "redis"}

    replicas = ReplicaCounts(board, hosts)
    machine = System(common.data_dir)

    async def system() -> dict[str, Any]:
        return {**machine.facts(), "replicas": await replicas.counted()}

    operations = [operation for each in routes for operation in each.operations]
    check_retried(common.edge.retried_routes, operations)
    api = build_api(
        operations,
        [
            operations_routes.router(health, reporter, facts, system),
            job_routes.router(job_parts(platform, routes)),
            webhook_routes.router(platform.authorization, platform.engine),
            *(router for each in routes for router in each.routers),
        ],
        platform.refused.own_standing,
        platform.refused.counted,
    )
    # One large body at a time: several would take the interpreter from the event loop more often, and none be quicker.
    parser_pool = ThreadPoolExecutor(1, "large-body")
    requests = request_log(platform.engine, platform.authorization.owner_of, telemetry.registry, common.requests)
    recorder = Recorder(
        RequestMetrics(telemetry.registry),
        telemetry.traces,
        log_requests=common.edge.log_requests,
        rows=requests.append if requests else None,
        address=platform.proxies.address,
    )
    edge: ASGIApp = Edge(
        operations,
        platform.authorization,
        platform.charges,
        api,
        Sockets(
            [socket for each in routes for socket in each.sockets],
            platform.authorization,
            recorder.metrics,
            platform.refused,
            max_connections=common.edge.max_sockets,
            origins=SocketOrigins(common.cors.origins),
            ended=recorder.socket_ended,
        ),
        parser_pool,
        recorder,
        platform.refused,
        max_body_bytes=common.edge.max_body_bytes,
        timeout_s=common.edge.request_timeout_s,
    )
    # Only where they are set: the hot path pays nothing for either.
    if common.cors.origins:
        edge = Cors(edge, common.cors)
    if common.edge.hsts_s:
        edge = StrictTransport(edge, common.edge.hsts_s)

    async def close() -> None:
        for stop in (stop for each in routes for stop in each.closing):
            await stop()
        await platform.watching.close()
        parser_pool.shutdown(wait=False, cancel_futures=True)
        await platform.charges.settle_refunds()
        if requests is not None:
            await requests.close()
        if platform.objects is not None:
            await platform.objects.close()
        await platform.redis.aclose()
        await platform.engine.dispose()
        if telemetry.traces is not None:
            await asyncio.to_thread(telemetry.traces.close)

    return Connected(edge, close)


def job_parts(platform: Platform, routes: Sequence[Routes]) -> JobParts:
    """What the routes of jobs are made of."""
    edge, webhooks = platform.settings.edge, platform.settings.webhooks
    return JobParts(
        authorization=platform.authorization,
        service=platform.jobs,
        engine=platform.engine,
        waker=Waker(platform.redis),
        watching=platform.watching,
        keys=IdempotencyKeys(platform.engine),
        kinds={name: prepare for each in routes for name, prepare in each.jobs.items()},
        extensions={name: extension for each in routes for name, extension in each.extensions.items()},
        webhooks=Allowed(http=webhooks.allow_http, networks=webhooks.networks),
        objects=platform.objects,
        max_body_bytes=edge.max_body_bytes,
        timeout_s=edge.request_timeout_s,
    )


async def wire_platform(
    capabilities: Sequence[Capability],
    settings: Settings,
    hosts: Mapping[str, Any],
    shards: Mapping[str, Sequence[Any]],
    telemetry: ProcessTelemetry,
) -> tuple[Platform, RedisOutage]:
    """What the capabilities of an ingress replica share; and whether Redis is out of reach."""
    common = settings.platform
    secrets = Secrets.from_environment()
    engine = async_engine(secrets.database_url.get_secret_value(), actor="serving")
    redis = redis_client(secrets.redis_url.get_secret_value(), timeout_s=common.access.store_timeout_s)
    accounts = Accounts(engine, secrets.peppers)
    tokens = Tokens(
        secrets.peppers, common.token.lifetime_s, issuer=common.token.issuer, audience=common.token.audience
    )
    authenticator = Authenticator(secrets.peppers, tokens)
    admitted = access(
        redis,
        RedisQuota(redis),
        PostgresQuota(engine, timeout_s=ANSWER_S),
        AccountCache(engine, redis),
        accounts,
        authenticator,
        AccessMetrics(telemetry.registry),
        timeout_s=ANSWER_S,
    )
    attempts = Attempts(
        RedisBuckets(redis), admitted.outage, common.throttle, secrets.peppers, ThrottleMetrics(telemetry.registry)
    )
    proxies = TrustedProxies(common.edge.trusted_proxies)
    platform = Platform(
        settings=common,
        engine=engine,
        redis=redis,
        objects=object_store(common.objects, telemetry.registry),
        accounts=accounts,
        own_keys=OwnKeys(engine, secrets.peppers),
        charges=admitted.charges,
        jobs=JobService(engine, Holds(engine, admitted.charges, timeout_s=ANSWER_S), Waker(redis), timeout_s=ANSWER_S),
        watching=Watching(engine, redis, WatchMetrics(telemetry.registry)),
        authorization=admitted.authorization,
        attempts=attempts,
        proxies=proxies,
        refused=RefusedCredentials(attempts, proxies, admitted.authorization),
        authenticator=authenticator,
        tokens=tokens,
        client_secrets=secrets.client_secrets,
        registry=telemetry.registry,
        ceilings={n: most for c in capabilities for n, most in settings.capabilities[c.name].ceilings().items()},
        compute={name: partial(on_replica, handle, name, first_replica_s=LEARNING_S) for name, handle in hosts.items()},
        shards=clients(shards),
        series=SeriesSources(),
        prices=PriceSources(),
        alert_log=ProvidedAlertLog(),
        gate_limits=GateLimits(
            **common.dispatch.model_dump(),
            request_timeout_s=common.edge.request_timeout_s,
        ),
        dispatch_metrics=DispatchMetrics(telemetry.registry, telemetry.traces),
    )
    return platform, admitted.outage
