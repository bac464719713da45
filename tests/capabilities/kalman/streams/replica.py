"""An ingress replica's part in streams, on real stores, with a model that counts."""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Any

from prometheus_client import CollectorRegistry
from tests.edge.running import refused_of
from tests.store.stores import PEPPERS, Store

from luna_serving.access.credentials import Authenticator
from luna_serving.access.tokens import Tokens
from luna_serving.access.wiring import access
from luna_serving.capabilities.kalman.models.lookup import NamedModels
from luna_serving.capabilities.kalman.store.models import ModelLimits, Models
from luna_serving.capabilities.kalman.store.stream_records import StreamLimits
from luna_serving.capabilities.kalman.store.streams import KalmanStreams
from luna_serving.capabilities.kalman.streams.job import Appended, AppendJob
from luna_serving.capabilities.kalman.streams.protocol import StreamRules
from luna_serving.capabilities.kalman.streams.session import SessionLimits, StreamService
from luna_serving.dispatch.gate import Gate, GateLimits
from luna_serving.telemetry.metrics import AccessMetrics, DispatchMetrics

LEVEL = {"kind": "local_level", "obs_var": 2.0, "level_var": 0.5}

Compute = Callable[[Sequence[AppendJob]], Awaitable[Sequence[Any]]]


async def count(jobs: Sequence[AppendJob]) -> Sequence[Any]:
    """A model whose state is how many points it has seen: what matters here is that none is seen twice."""
    answers = []
    for job in jobs:
        seen = json.loads(job.state or "0")
        numbers = [seen + 1 + i for i in range(len(job.values))]
        answers.append(Appended(json.dumps(numbers[-1]), json.dumps(numbers)))
    return answers


class Replica:
    """With charges and a gate of its own."""

    def __init__(self, store: Store, compute: Compute = count, **limits: Any) -> None:
        authenticator = Authenticator(PEPPERS, Tokens(PEPPERS, 900))
        wired = access(
            store.redis,
            store.quota,
            store.fallback,
            store.cache,
            store.accounts,
            authenticator,
            AccessMetrics(CollectorRegistry()),
            timeout_s=4.0,
        )
        self.admission = wired.charges
        self.refused = refused_of(wired)
        gate_limits = GateLimits(
            max_batch=10, max_batch_points=1000, max_queued=10, batches_in_flight=1, request_timeout_s=5
        )
        self.desk = StreamService(
            KalmanStreams(
                store.engine,
                StreamLimits(10, timedelta(days=1), hold=limits.get("hold", timedelta(minutes=15))),
                timeout_s=limits.get("store_s", 4.0),
            ),
            Gate(wired.charges, compute, gate_limits, DispatchMetrics(CollectorRegistry()).of("kalman")),
            wired.charges,
            wired.authorization,
            NamedModels(Models(store.engine, ModelLimits(10, 10_000)), cache_bytes=10_000, timeout_s=1),
            StreamRules(max_points=100, replay_points=limits.get("replay", 100), replay_numbers=10**6, max_lag=10),
            SessionLimits(limits.get("idle_s", 60.0), 10_000, 5.0),
        )
