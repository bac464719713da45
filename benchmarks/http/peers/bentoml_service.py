"""The filter as a BentoML service with adaptive batching. Runs in the environment of requirements-bentoml.txt.

A batchable endpoint takes a list from each caller, and BentoML joins the lists. So a body is a list of one series, and
the answer a list of one: else the JSON is the original's. A service that takes one series and passes it on to a
batchable one would have the original's JSON exactly, and a second HTTP request for each call.
"""

from typing import Annotated

import bentoml
from benchmarks.http.peers.local_level import filter_series
from bentoml.validators import ContentType
from pydantic import BaseModel

# As many calls as there are connections in the largest load.
MOST_CALLS = 256
# BentoML answers 503 to what would wait longer. How long it waits for a batch to fill follows from what batches take,
# not from this.
LATENCY_MS = 30_000


class Answer(BaseModel):
    """The filtered level at each point, and the series as it came."""

    processed_results: list[float]
    input_data: list[float | None]


@bentoml.service(
    traffic={"timeout": 60},
    logging={"access": {"enabled": False}},
    metrics={"enabled": False},
)
class Kalman:
    """A local level filter."""

    @bentoml.api(batchable=True, max_batch_size=MOST_CALLS, max_latency_ms=LATENCY_MS)
    async def kalman(
        self, results: list[list[float | None]]
    ) -> Annotated[list[Answer], ContentType("application/json")]:
        """Filter the series of all calls of a batch."""
        # Without the content type BentoML derives it from a JSON schema that it makes for each answer (a quarter of a
        # call's time). `async`: a thread would cost a hand-over per batch, and wait for the interpreter's lock.
        levels = filter_series(results)
        return [
            Answer.model_construct(processed_results=found, input_data=series)
            for found, series in zip(levels, results, strict=True)
        ]
