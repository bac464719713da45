"""The declaration of the Kalman capability: its routes, replicas, settings and loops."""

from datetime import timedelta
from typing import Final

from luna_serving.capabilities.contract import Capability, Platform, Routes
from luna_serving.capabilities.kalman.job_kinds.preparing import preparing
from luna_serving.capabilities.kalman.job_kinds.running import job_kinds
from luna_serving.capabilities.kalman.lanes import kalman_lanes
from luna_serving.capabilities.kalman.loops import loops
from luna_serving.capabilities.kalman.models import routes as model_routes
from luna_serving.capabilities.kalman.models.lookup import NamedModels
from luna_serving.capabilities.kalman.replica import KalmanReplica
from luna_serving.capabilities.kalman.routes import operations
from luna_serving.capabilities.kalman.settings import KalmanSettings
from luna_serving.capabilities.kalman.store.models import ModelLimits, Models
from luna_serving.capabilities.kalman.store.stream_records import HOLD, StreamLimits
from luna_serving.capabilities.kalman.store.stream_records import ROUTE as STREAM
from luna_serving.capabilities.kalman.store.streams import KalmanStreams
from luna_serving.capabilities.kalman.store.tables import KalmanStream, KalmanStreamAnswer, ModelVersion, NamedModel
from luna_serving.capabilities.kalman.streams import routes as stream_routes
from luna_serving.capabilities.kalman.streams.protocol import StreamRules
from luna_serving.capabilities.kalman.streams.session import SessionLimits, StreamService
from luna_serving.capabilities.kalman.wire.from_dataset import NamedSeries
from luna_serving.capabilities.kalman.wire.series import MAX_SERIES_LENGTH, MAX_SERIES_PER_REQUEST, SeriesLimits
from luna_serving.edge.sockets import SocketRoute
from luna_serving.engines.statespace.api.description import KINDS
from luna_store.platform.postgres import ANSWER_S

NAME: Final = "kalman"


def serve(platform: Platform, settings: KalmanSettings) -> Routes:
    """Wire the routes in an ingress replica."""
    common = platform.settings
    models = Models(platform.engine, ModelLimits(settings.max_models, settings.max_stored_model_bytes))
    named = NamedModels(models, cache_bytes=settings.model_cache_bytes, timeout_s=common.access.store_timeout_s)
    lanes = kalman_lanes(
        platform.charges, platform.compute[NAME], platform.gate_limits, platform.dispatch_metrics.of(NAME)
    )
    limits = series_limits(settings)
    series = NamedSeries(platform.series, limits)
    streams = KalmanStreams(
        platform.engine,
        StreamLimits(
            settings.stream_max_streams,
            timedelta(days=settings.stream_unused_days),
            # Longer than several messages may take.
            hold=max(HOLD, timedelta(seconds=4 * common.edge.request_timeout_s)),
        ),
        timeout_s=ANSWER_S,
    )
    stream_service = StreamService(
        streams,
        lanes,
        platform.charges,
        platform.authorization,
        named,
        StreamRules(
            settings.stream_max_points,
            settings.stream_replay_points,
            settings.stream_replay_numbers,
            settings.stream_max_lag,
        ),
        SessionLimits(settings.stream_idle_s, settings.stream_max_message_bytes, common.edge.request_timeout_s),
    )
    return Routes(
        operations=operations(lanes, limits, named, series),
        routers=[
            model_routes.router(
                platform.authorization,
                models,
                max_bytes=settings.max_model_bytes,
                timeout_s=common.edge.request_timeout_s,
            ),
            stream_routes.router(platform.authorization, streams),
        ],
        sockets=[SocketRoute(STREAM, stream_service.serve)],
        jobs=preparing(limits, named, series),
    )


def series_limits(settings: KalmanSettings) -> SeriesLimits:
    """The server's own limits of a call, and of the parameters of a job."""
    return SeriesLimits(settings.max_series_length, settings.max_series_per_request, settings.max_answer_numbers)


KALMAN: Final = Capability(
    name=NAME,
    settings=KalmanSettings,
    serve=serve,
    replica=KalmanReplica,
    grants=frozenset(KINDS),
    limits=(MAX_SERIES_LENGTH, MAX_SERIES_PER_REQUEST),
    # Compiling all programs would delay the first call by a minute.
    local={"warm_states": "2"},
    job_kinds=lambda settings: job_kinds(series_limits(settings)),
    loops=lambda _, settings: loops(timedelta(days=settings.stream_unused_days)),
    tables=(NamedModel, ModelVersion, KalmanStream, KalmanStreamAnswer),
)
