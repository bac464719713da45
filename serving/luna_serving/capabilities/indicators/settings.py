"""The settings of the indicators capability: LUNA_INDICATORS_<FIELD>."""

from pydantic import Field

from luna_serving.settings import PlatformSettings, ReplicaSettings


class IndicatorSettings(ReplicaSettings):
    """Indicators of stored prices and inline bars; the cache; custom indicators."""

    threads: int = Field(
        0,
        ge=0,
        le=256,
        description="Threads of a replica that compute; 0: one per core. The formulas release the lock.",
    )
    max_symbols: int = Field(1_000, gt=0, description="Instruments of one request; more are answered 422.")
    max_indicators: int = Field(200, gt=0, description="Indicators of one request; more are answered 422.")
    max_bars: int = Field(100_000, gt=0, description="Inline bars of one request; more are answered 422.")
    max_answer_numbers: int = Field(
        20_000_000, gt=0, description="Numbers that one answer may hold, 160 MB as Arrow; beyond, a job is the way."
    )
    max_sweep_symbols: int = Field(100_000, gt=0, description="Instruments of one job; more are answered 422.")
    cached_pairs: int = Field(
        64,
        ge=0,
        description="Pairs of instrument and indicator of one request that are looked for in the cache; a larger "
        "request is computed at once, which is quicker, and leaves the cache to others.",
    )
    located_s: float = Field(
        0.5,
        ge=0,
        le=60,
        description="Seconds for which an ingress replica remembers where an instrument's prices are. A new version of "
        "the market is served after them at the latest.",
    )
    ttl_s: float = Field(86_400.0, gt=0, description="Seconds that a history stays fresh while its last bar is closed.")
    open_ttl_s: float = Field(1_800.0, gt=0, description="Seconds that it stays fresh while its last bar is open.")
    ttl_by_indicator: dict[str, float] = Field(
        {}, description='Instead of `ttl_s`, by indicator, as JSON: {"rsi": 3600}.'
    )
    ttl_jitter: float = Field(
        0.1, ge=0, lt=1, description="Share by which a lifetime is shortened at random, so that not all end at once."
    )
    stale_s: float = Field(
        3_600.0,
        ge=0,
        description="Seconds after its lifetime for which a history is served while it is computed again.",
    )
    cache_bytes: int = Field(
        64 * 1024 * 1024,
        ge=0,
        description="Bytes of all histories in Redis, about 30 kB for ten years of days. Beyond, the oldest are "
        "removed. Redis also holds the quota and must not run out of memory (docs/indicators.md).",
    )
    max_cached_bytes: int = Field(
        4 * 1024 * 1024, gt=0, description="Bytes of one history in Redis; a larger one is kept in memory only."
    )
    memory_bytes: int = Field(
        32 * 1024 * 1024, ge=0, description="Bytes of histories and answers in the memory of an ingress replica."
    )
    cache_timeout_s: float = Field(
        0.25, gt=0, description="Seconds that Redis has to answer the cache; then histories are computed."
    )
    lease_s: float = Field(
        2.0, gt=0, description="Seconds after which the lock of an ingress replica that died while it computed ends."
    )
    breaker_failures: int = Field(3, ge=1, description="Failures in a row after which Redis is left alone.")
    breaker_open_s: float = Field(5.0, gt=0, description="Seconds for which it is.")
    max_custom: int = Field(100, ge=0, description="Custom indicators of one account; one more is answered 409.")

    def ongoing(self, platform: PlatformSettings) -> int:
        """Calls under way at once in one replica: two lanes of calls, and blocks of jobs."""
        return 4 * platform.dispatch.batches_in_flight + 4 * platform.edge.replicas_max
