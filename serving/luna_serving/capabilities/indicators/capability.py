"""The declaration of the indicators capability: its routes, cache, replicas and settings."""

import time
from dataclasses import replace
from typing import Final

from luna_serving.capabilities.contract import Capability, Platform, Routes
from luna_serving.capabilities.indicators.cache.breaker import Breaker
from luna_serving.capabilities.indicators.cache.lifetimes import Lifetimes
from luna_serving.capabilities.indicators.cache.lookup import Lookup
from luna_serving.capabilities.indicators.cache.memory import Memory
from luna_serving.capabilities.indicators.cache.shared import SharedCache
from luna_serving.capabilities.indicators.calls.batch import (
    HISTORY_DAYS,
    MAX_SERIES_LENGTH,
    MAX_SERIES_PER_REQUEST,
    BatchAnswering,
    BatchCalls,
)
from luna_serving.capabilities.indicators.calls.computing import Computing
from luna_serving.capabilities.indicators.calls.definitions import Definitions
from luna_serving.capabilities.indicators.calls.places import Places
from luna_serving.capabilities.indicators.calls.resolving import Resolving
from luna_serving.capabilities.indicators.calls.single import Looking, Parsing, SingleCalls, answer_hits
from luna_serving.capabilities.indicators.custom.listing import Listing
from luna_serving.capabilities.indicators.custom.routes import router
from luna_serving.capabilities.indicators.metrics import CacheMetrics
from luna_serving.capabilities.indicators.replica import IndicatorReplica
from luna_serving.capabilities.indicators.routes import operations
from luna_serving.capabilities.indicators.settings import IndicatorSettings
from luna_serving.capabilities.indicators.store.custom import CustomIndicators
from luna_serving.capabilities.indicators.store.tables import CustomIndicator
from luna_serving.capabilities.indicators.sweeps.preparing import Preparing
from luna_serving.capabilities.indicators.sweeps.running import job_kinds
from luna_serving.capabilities.indicators.wire.batch import BatchLimits
from luna_serving.dispatch.gate import Gate, Sharing
from luna_serving.engines.indicators.catalogue import CATALOGUE

NAME: Final = "indicators"
# Batches of calls whose history is not in memory: one that waits for another replica's lease does not hold up others.
LOOKING_AT_ONCE: Final = 16
# Batches in flight with a large request of the same account: a core is left for the others.
LARGE_PER_ACCOUNT: Final = 2


def serve(platform: Platform, settings: IndicatorSettings) -> Routes:
    """Wire the routes in an ingress replica."""
    charges, limits = platform.charges, platform.gate_limits
    gate_metrics = platform.dispatch_metrics.of(NAME)
    metrics = CacheMetrics(platform.registry)
    lifetimes = lifetimes_of(settings)
    memory = Memory(settings.memory_bytes, time.monotonic)
    computing = Computing(platform.compute[NAME])
    lookup = Lookup(
        memory,
        SharedCache(platform.redis, most_bytes=settings.cache_bytes, longest_s=lifetimes.longest_s),
        computing.tasks,
        Breaker(failures=settings.breaker_failures, open_s=settings.breaker_open_s, clock=time.monotonic),
        lifetimes,
        metrics,
        timeout_s=settings.cache_timeout_s,
        lease_s=settings.lease_s,
        most_value_bytes=settings.max_cached_bytes,
    )
    custom = CustomIndicators(platform.engine, most=settings.max_custom)
    definitions = Definitions(custom)
    places = Places(platform.prices, keep_s=settings.located_s, clock=time.monotonic)
    looking = replace(limits, batches_in_flight=max(LOOKING_AT_ONCE, limits.batches_in_flight))
    single = SingleCalls(
        Gate(charges, answer_hits, limits, gate_metrics),
        Gate(charges, Looking(lookup).answer, looking, gate_metrics),
        charges,
        lookup,
        memory,
        metrics,
    )
    large = Gate(
        charges,
        BatchAnswering(lookup, computing, metrics).answer,
        limits,
        gate_metrics,
        sharing=Sharing(per_account=LARGE_PER_ACCOUNT),
    )
    resolving = Resolving(places, platform.prices, definitions)
    batches = BatchCalls(
        large,
        charges,
        resolving,
        BatchLimits(settings.max_symbols, settings.max_indicators, settings.max_bars, settings.max_answer_numbers),
        cached_pairs=settings.cached_pairs,
    )
    return Routes(
        operations=[*operations(single, Parsing(places, definitions), batches), Listing(custom).operation()],
        routers=[router(platform.authorization, charges, custom, timeout_s=platform.settings.edge.request_timeout_s)],
        jobs=Preparing(platform.engine, platform.accounts, resolving, sweep_limits(settings)).prepares(),
    )


def sweep_limits(settings: IndicatorSettings) -> BatchLimits:
    """Of the parameters of a job."""
    return BatchLimits(
        settings.max_sweep_symbols, settings.max_indicators, settings.max_bars, settings.max_answer_numbers
    )


def lifetimes_of(settings: IndicatorSettings) -> Lifetimes:
    """How long histories are kept."""
    return Lifetimes(
        settings.ttl_s, settings.open_ttl_s, settings.stale_s, settings.ttl_jitter, settings.ttl_by_indicator
    )


INDICATORS: Final = Capability(
    name=NAME,
    settings=IndicatorSettings,
    serve=serve,
    replica=IndicatorReplica,
    grants=frozenset(CATALOGUE),
    limits=(MAX_SERIES_LENGTH, MAX_SERIES_PER_REQUEST, HISTORY_DAYS),
    tables=(CustomIndicator,),
    job_kinds=lambda settings: job_kinds(sweep_limits(settings)),
)
