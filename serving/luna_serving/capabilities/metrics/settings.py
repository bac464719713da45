"""The settings of live metrics: LUNA_METRICS_<FIELD>."""

from collections.abc import Mapping

from pydantic import Field

from luna_serving.settings import ShardSettings


class MetricsSettings(ShardSettings):
    """Ingest, storage and queries of time series ([metrics](metrics.md))."""

    head_samples: int = Field(
        6_000_000,
        ge=1_000,
        description="Samples of all accounts of a shard that wait in memory to be put into chunks, 16 bytes each. At "
        "twice the number, writes wait.",
    )
    flush_samples: int = Field(
        2_000_000, ge=100, description="Samples of one account that are put into chunks as soon as there are so many."
    )
    flush_s: float = Field(
        3_600.0,
        gt=0,
        description="Seconds after which the samples of an account are put into chunks, however few there are. Longer "
        "makes better chunks, and a restart read more write-ahead rows.",
    )
    recent_samples: int = Field(
        4_000_000,
        ge=0,
        description="Samples of a shard that stay in memory after they were put into chunks, 16 bytes each, so that "
        "queries of the last minutes need no chunks.",
    )
    cache_bytes: int = Field(
        64 * 2**20, ge=0, description="Bytes of decoded chunks that a shard keeps for further queries."
    )
    compact_s: float = Field(60.0, gt=0, description="Seconds between two looks for days to compact and roll up.")
    active_s: float = Field(3_600.0, gt=0, description="Seconds after its last sample for which a series is active.")
    query_threads: int = Field(2, ge=1, le=64, description="Queries that a shard evaluates at once.")
    query_s: float = Field(20.0, gt=0, le=300, description="Seconds that a query may take.")
    max_active_series: int = Field(1_000_000, ge=1, description="Active series of an account at most.")
    max_samples_per_second: int = Field(1_000_000, ge=1, description="Samples per second of an account at most.")
    max_labels: int = Field(64, ge=1, le=1_000, description="Labels of a series at most, without the name.")
    max_query_samples: int = Field(
        20_000_000,
        ge=1,
        description="Samples that a query may read at most: 100 series at 15 s for five weeks. A query takes about 32 "
        "bytes for each (Prometheus' 50 million would take 1.6 GB of a process that has writes to serve, too).",
    )
    query_samples_at_once: int = Field(
        30_000_000,
        ge=1_000,
        description="Samples and values of intermediate results that all queries of a shard hold at once, about 32 "
        "bytes each. A query waits for others up to 2 s, and is then answered 503 with `Retry-After`. One may read "
        "three quarters of it.",
    )
    max_call_samples: int = Field(500_000, ge=1, description="Samples in one call of ingest at most.")
    max_body_bytes: int = Field(64 * 2**20, ge=1, description="Bytes of a body of ingest, decompressed, at most.")

    live_series: int = Field(
        5_000, ge=1, description="Series that one live subscription may match ([live](live.md)); more are refused."
    )
    max_connections: int = Field(
        2_000,
        ge=1,
        description="Live connections of an account on one ingress replica at most; more are refused with 429. An "
        "account's own limit, metrics.sockets, can only lower it.",
    )

    def ceilings(self) -> Mapping[str, int]:
        """The server's own limits."""
        return {
            "metrics.active_series": self.max_active_series,
            "metrics.samples_per_second": self.max_samples_per_second,
            "metrics.labels": self.max_labels,
            "metrics.query_samples": self.max_query_samples,
            "metrics.sockets": self.max_connections,
        }
