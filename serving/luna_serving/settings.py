"""Settings, read once where the application is built.

They travel to the replicas inside the Serve application. Secrets do not: Serve keeps what it is given in its control
store, so every process reads them from its own environment (`luna_store.accounts.secrets`).
"""

from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """How the application behaves. Environment variables carry the prefix `LUNA_`; `build` takes the same names."""

    model_config = SettingsConfigDict(env_prefix="LUNA_", frozen=True, extra="forbid", env_ignore_empty=True)

    ingress_replicas_min: int = Field(1, ge=1, description="Ingress replicas that always run.")
    ingress_replicas_max: int = Field(1, ge=1, description="Ingress replicas under full load.")
    kalman_replicas_min: int = Field(1, ge=1, description="Kalman replicas that always run.")
    kalman_replicas_max: int = Field(1, ge=1, description="Kalman replicas under full load.")
    ingress_cpus: float = Field(0.5, ge=0, description="CPU cores that Ray reserves for an ingress replica.")
    kalman_cpus: float = Field(0.5, ge=0, description="CPU cores that Ray reserves for a Kalman replica.")
    kalman_gpus: float = Field(0.0, ge=0, description="GPUs that Ray reserves for a Kalman replica; 0 runs on CPUs.")

    kalman_warm_states: int = Field(
        64,
        ge=0,
        le=64,
        description="Models of at most so many states are compiled before a replica is ready, about a minute for all; "
        "the first call of a larger one waits seconds for its compiler. `luna up` sets 2.",
    )

    max_body_bytes: int = Field(
        10 * 1024 * 1024, gt=0, description="Bytes of a request body; a larger one is answered 413."
    )
    max_series_length: int = Field(1_000_000, gt=0, description="Points of one series; a longer one is answered 422.")
    max_series_per_request: int = Field(1_000, gt=0, description="Series of one request; more are answered 422.")
    max_answer_numbers: int = Field(
        4_000_000, gt=0, description="Numbers that one answer may hold: at about 20 bytes each, 80 MB of JSON."
    )

    max_models: int = Field(
        1_000,
        gt=0,
        description="Named models of one account: a page of names, not a data set; one more is answered 409.",
    )
    max_model_bytes: int = Field(
        1024 * 1024,
        gt=0,
        description="Bytes of one named model, some 50,000 numbers; checking a larger one would hold up other calls.",
    )
    max_stored_model_bytes: int = Field(
        64 * 1024 * 1024,
        gt=0,
        description="Bytes of all versions of an account's named models, 128 more for each; beyond is answered 409.",
    )
    model_cache_bytes: int = Field(
        16 * 1024 * 1024,
        gt=0,
        description="JSON of the named models that an ingress replica keeps parsed: sixteen of the largest.",
    )

    request_timeout_s: float = Field(
        30.0, gt=0, description="Seconds until a call is answered 408; a caller may ask for less."
    )
    store_timeout_s: float = Field(
        1.0,
        gt=0,
        description="Seconds that Redis has to answer before Postgres takes over the debits, and Postgres before a "
        "named model comes from memory.",
    )
    max_queued: int = Field(
        2_000, gt=0, description="Calls that wait in one ingress replica; more are answered 503 at once."
    )
    max_batch: int = Field(
        256, gt=0, description="Calls in one round trip to Redis and to the model: bounds what one slow call delays."
    )
    max_batch_points: int = Field(262_144, gt=0, description="Points in one round trip to the model, beyond one call.")
    batches_in_flight: int = Field(
        2, ge=1, description="Round trips under way at once: one debits while the one before computes."
    )
    stream_max_streams: int = Field(
        100, gt=0, description="Streams of online filtering that an account may keep; another is refused with 409."
    )
    stream_unused_days: float = Field(
        30.0, gt=0, le=36_500, description="Days after which an unused stream makes room for another of its account."
    )
    stream_max_points: int = Field(
        1_000, gt=0, description="Points of one message of a stream; more are answered 422. It costs one unit."
    )
    stream_replay_points: int = Field(
        1_000, gt=0, description="Points whose answers a stream keeps for a client that lost its connection."
    )
    stream_replay_numbers: int = Field(
        200_000, gt=0, description="Numbers in these answers; where each is large, fewer are kept: 4 MB of text."
    )
    stream_max_lag: int = Field(
        100, gt=0, description="Steps of a fixed-lag smoother; what a point costs to compute grows with them."
    )
    stream_max_message_bytes: int = Field(
        1024 * 1024, gt=0, le=16 * 1024 * 1024, description="Bytes of one message; uvicorn itself takes up to 16 MiB."
    )
    stream_max_connections: int = Field(
        1_000, gt=0, description="WebSockets of one ingress replica; more are refused with 503 before the upgrade."
    )
    stream_idle_s: float = Field(
        900.0, gt=0, description="Seconds without a message after which a stream's connection is closed."
    )
    token_lifetime_s: int = Field(900, gt=0, description="Seconds that a token from /api/v1/auth/token is valid.")
    log_requests: bool = Field(
        default=False, description="One JSON line a request; off by default, for it costs a tenth of the throughput."
    )
    proxy: str = Field("serve", description="What stands in front: haproxy or serve; shown by /health/detailed.")

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        for name in ("ingress", "kalman"):
            low, high = getattr(self, f"{name}_replicas_min"), getattr(self, f"{name}_replicas_max")
            if low > high:
                raise ValueError(f"{name}_replicas_min ({low}) must not exceed {name}_replicas_max ({high}).")
        return self
