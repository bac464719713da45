"""The composition root: the only place that knows which parts Luna is made of.

`build` is what Serve imports (`luna_serving.app:build`), in a cluster and in `luna up` alike.
"""

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

from ray import serve
from sqlalchemy import text

from luna_serving.access.admission import Admission
from luna_serving.access.authorization import Callers
from luna_serving.access.credentials import Authenticator
from luna_serving.access.tokens import Tokens
from luna_serving.capabilities.account import routes as account_routes
from luna_serving.capabilities.account import token_routes
from luna_serving.capabilities.kalman.models import routes as model_routes
from luna_serving.capabilities.kalman.models.lookup import NamedModels
from luna_serving.capabilities.kalman.replica import KalmanReplica
from luna_serving.capabilities.kalman.routes import LONG_AT_ONCE, operations
from luna_serving.capabilities.kalman.store.models import ModelLimits, Models
from luna_serving.capabilities.kalman.store.streams import KalmanStreams, StreamLimits
from luna_serving.capabilities.kalman.streams import routes as stream_routes
from luna_serving.capabilities.kalman.streams.protocol import StreamRules
from luna_serving.capabilities.kalman.streams.session import ROUTE as STREAM
from luna_serving.capabilities.kalman.streams.session import Desk, SessionLimits
from luna_serving.capabilities.kalman.wire.series import Limits
from luna_serving.dispatch.gate import GateLimits
from luna_serving.dispatch.replica_call import on_replica
from luna_serving.edge import operations_routes
from luna_serving.edge.asgi import Edge
from luna_serving.edge.deployment import Connected, IngressReplica
from luna_serving.edge.fastapi_app import build_api
from luna_serving.edge.sockets import SocketRoute, Sockets
from luna_serving.settings import Settings
from luna_serving.telemetry.board_deployment import MetricsReplica, Reporter
from luna_serving.telemetry.health import Health
from luna_store.accounts.accounts import Accounts
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.postgres_quota import PostgresQuota
from luna_store.accounts.secrets import Secrets
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import RedisQuota, redis_client

# Serve's queue is not where calls wait: the edge's is, which knows deadlines and refunds.
UNBOUNDED = 100_000
# Longer than a rebuild waits for a row's lock, shorter than a caller waits for anything.
STORE_ANSWER_S = 4.0


def build(args: Mapping[str, str] | None = None) -> serve.Application:
    """Build the application.

    Args:
        args: fields of `Settings`, which win over the environment's LUNA_ variables.

    Raises:
        ValidationError: a setting is out of its range; names it.
    """
    settings = Settings.model_validate({**Settings().model_dump(), **(args or {})})
    metrics = serve.deployment(
        name="metrics",
        # Serve's default looks every 2 s whether calls are still under way: a stop would take that long at least.
        graceful_shutdown_wait_loop_s=0.1,
        num_replicas=1,
        max_ongoing_requests=100,
        ray_actor_options={"num_cpus": 0},
    )(MetricsReplica)
    kalman = serve.deployment(
        name="kalman",
        graceful_shutdown_wait_loop_s=0.1,
        # In each of two lanes a batch computes while the next one travels: none waits for the other lane's at Serve's
        # door. One more of the heavy lane, long calls and fits may be under way for each ingress replica besides.
        max_ongoing_requests=4 * settings.batches_in_flight + (1 + 2 * LONG_AT_ONCE) * settings.ingress_replicas_max,
        ray_actor_options={"num_cpus": settings.kalman_cpus, "num_gpus": settings.kalman_gpus},
        graceful_shutdown_timeout_s=settings.request_timeout_s,
        **_replicas(settings.kalman_replicas_min, settings.kalman_replicas_max, settings.batches_in_flight),
    )(KalmanReplica)
    ingress = serve.deployment(
        name="ingress",
        max_ongoing_requests=UNBOUNDED,
        ray_actor_options={"num_cpus": settings.ingress_cpus},
        graceful_shutdown_timeout_s=settings.request_timeout_s,
        **_replicas(settings.ingress_replicas_min, settings.ingress_replicas_max, 64),
    )(serve.ingress()(IngressReplica))
    board = metrics.bind()
    model = kalman.bind(board, settings.kalman_warm_states)
    application: serve.Application = ingress.bind(partial(connect, settings), model, board)
    return application


def _replicas(low: int, high: int, target: float) -> dict[str, Any]:
    if low == high:
        return {"num_replicas": low}
    return {"autoscaling_config": {"min_replicas": low, "max_replicas": high, "target_ongoing_requests": target}}


async def connect(settings: Settings, kalman: Any, metrics: Any) -> Connected:  # noqa: ANN401  DeploymentHandles
    """Wire an ingress replica, in its own process and on its own loop."""
    secrets = Secrets.from_environment()
    peppers = secrets.peppers
    engine = async_engine(secrets.database_url.get_secret_value())
    redis = redis_client(secrets.redis_url.get_secret_value(), timeout_s=settings.store_timeout_s)
    accounts = Accounts(engine, peppers)
    admission = Admission(
        redis,
        RedisQuota(redis),
        PostgresQuota(engine, timeout_s=STORE_ANSWER_S),
        AccountCache(engine, redis),
        accounts,
        timeout_s=STORE_ANSWER_S,
    )
    tokens = Tokens(peppers, settings.token_lifetime_s)
    authenticator = Authenticator(peppers, tokens)
    callers = Callers(authenticator, admission)
    models = Models(engine, ModelLimits(settings.max_models, settings.max_stored_model_bytes))
    reporter = Reporter(metrics)
    reporter.start("ingress")

    async def ask_postgres() -> None:
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    compute = partial(on_replica, kalman.compute.remote)
    health = Health(
        {
            "redis": redis.ping,
            "postgres": ask_postgres,
            "model": partial(on_replica, lambda _: kalman.ping.remote(), []),
        }
    )
    named = NamedModels(models, cache_bytes=settings.model_cache_bytes, timeout_s=settings.store_timeout_s)
    served = operations(
        admission,
        compute,
        GateLimits(
            max_batch=settings.max_batch,
            max_batch_points=settings.max_batch_points,
            max_queued=settings.max_queued,
            batches_in_flight=settings.batches_in_flight,
            request_timeout_s=settings.request_timeout_s,
        ),
        Limits(settings.max_series_length, settings.max_series_per_request, settings.max_answer_numbers),
        named,
    )
    streams = KalmanStreams(
        engine,
        StreamLimits(settings.stream_max_streams, timedelta(days=settings.stream_unused_days)),
        timeout_s=STORE_ANSWER_S,
    )
    desk = Desk(
        streams,
        served[0].gate,
        admission,
        callers,
        named,
        StreamRules(
            settings.stream_max_points,
            settings.stream_replay_points,
            settings.stream_replay_numbers,
            settings.stream_max_lag,
        ),
        SessionLimits(settings.stream_idle_s, settings.stream_max_message_bytes, settings.request_timeout_s),
    )

    def facts() -> dict[str, Any]:
        return {"proxy": settings.proxy, "debits_from": "postgres" if admission.redis_gone else "redis"}

    api = build_api(
        served,
        [
            operations_routes.router(health, reporter, facts),
            token_routes.router(authenticator, callers, tokens),
            account_routes.router(
                callers,
                accounts,
                engine,
                max_series_length=settings.max_series_length,
                max_series_per_request=settings.max_series_per_request,
            ),
            model_routes.router(
                callers, models, max_bytes=settings.max_model_bytes, timeout_s=settings.request_timeout_s
            ),
            stream_routes.router(callers, streams),
        ],
        callers.own_standing,
    )
    # One large body at a time: several would take the interpreter from the event loop more often, and none be quicker.
    aside = ThreadPoolExecutor(1, "large-body")
    edge = Edge(
        served,
        callers,
        api,
        Sockets([SocketRoute(STREAM, desk.serve)], callers, max_connections=settings.stream_max_connections),
        aside,
        max_body_bytes=settings.max_body_bytes,
        timeout_s=settings.request_timeout_s,
        log_requests=settings.log_requests,
    )

    async def close() -> None:
        aside.shutdown(wait=False, cancel_futures=True)
        await admission.settle_refunds()
        await redis.aclose()
        await engine.dispose()

    return Connected(edge, close)
