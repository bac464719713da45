"""What the shard of an account answers."""

import enum
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class RefusedSeries:
    """Series of a batch that were not kept."""

    index: int
    """In `Batch.keys`."""
    detail: str
    """The limit, the label whose values explode, and the cure."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a batch; what was not refused is durable and in every answer from now on."""

    samples: int
    """That were kept."""
    refused: Sequence[RefusedSeries] = ()
    """Beyond the limit of active series; 429 if none was kept."""


@dataclass(frozen=True, slots=True)
class TooFast:
    """The whole batch exceeds the rate; nothing was kept."""

    retry_after_s: float
    detail: str


class Refusal(enum.Enum):
    """Why a query has no answer."""

    PARSE = "bad_data"
    EVALUATION = "execution"
    LIMIT = "limit"
    TIMEOUT = "timeout"
    BUSY = "busy"
    """Other queries hold the memory that it needs; it may be asked again."""


@dataclass(frozen=True, slots=True)
class QueryRefused:
    """A query without an answer."""

    why: Refusal
    detail: str
    """As Prometheus words it, with the position."""
    offset: int | None = None
    """Characters before the place at fault."""


@dataclass(frozen=True, slots=True)
class LatestSamples:
    """The last sample of series, as columns in one order. A series that ended with a staleness marker is left out."""

    keys: Sequence[bytes]
    timestamps: NDArray[np.int64]
    values: NDArray[np.float64]
    selected: Sequence[NDArray[np.int64]]
    """For each selector of the request, the indexes of the series that it matches."""
