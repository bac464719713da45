"""The settings of the Kalman capability: LUNA_KALMAN_<FIELD>."""

from collections.abc import Mapping
from typing import Final

from pydantic import Field

from luna_serving.capabilities.kalman.wire.series import MAX_SERIES_LENGTH, MAX_SERIES_PER_REQUEST
from luna_serving.settings import PlatformSettings, ReplicaSettings

# Long calls and fits of different accounts under way at once, in one ingress replica: more would hold memory, and none
# be quicker.
LONG_AT_ONCE: Final = 4


class KalmanSettings(ReplicaSettings):
    """Filter, smoother, forecast, simulation, fit; named models; streams."""

    warm_states: int = Field(
        64,
        ge=0,
        le=64,
        description="Models of at most so many states are compiled before a replica is ready, about a minute for all; "
        "the first call of a larger one waits seconds for its compiler. `luna up` sets 2.",
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
    stream_max_streams: int = Field(
        100, gt=0, description="Streams of online filtering that an account may keep; another is refused with 409."
    )
    stream_unused_days: float = Field(
        30.0, gt=0, le=36_500, description="Days after which an unused stream is deleted."
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
    stream_idle_s: float = Field(
        900.0, gt=0, description="Seconds without a message after which a stream's connection is closed."
    )

    def ceilings(self) -> Mapping[str, int]:
        """The server's own limits of series."""
        return {MAX_SERIES_LENGTH: self.max_series_length, MAX_SERIES_PER_REQUEST: self.max_series_per_request}

    def ongoing(self, platform: PlatformSettings) -> int:
        """Batches under way at once in one replica.

        In each of two lanes a batch computes while the next one travels: none waits for the other lane's at Serve's
        door. One more of each, long calls and fits may be under way for each ingress replica.
        """
        return 4 * platform.dispatch.batches_in_flight + (2 + 2 * LONG_AT_ONCE) * platform.edge.replicas_max
