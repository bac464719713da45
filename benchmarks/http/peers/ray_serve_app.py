"""The filter as a bare deployment of Ray Serve. Runs in the environment of ray-serve.txt.

`python -m benchmarks.http.peers.ray_serve_app PORT FOLDER` serves until SIGTERM. Ray, the port, and no more than one
replica, as Luna has one; no FastAPI. Which proxy stands in front, Ray reads from its environment variables.
"""

import logging
import signal
import sys
import time

import orjson
import ray
from benchmarks.http.peers.local_level import filter_series
from pydantic import BaseModel, ValidationError
from ray import serve
from ray.serve.config import HTTPOptions
from ray.serve.schema import LoggingConfig
from starlette.requests import Request
from starlette.responses import Response

LOOPBACK = "127.0.0.1"
# As many calls as there are connections in the largest load.
MOST_CALLS = 256
# How long a call waits for others to come. Those that come while a batch is computed wait without it.
BATCH_WAIT_S = 0.001
OBJECT_STORE_BYTES = 200 * 1024 * 1024


class Series(BaseModel):
    """A series; None is a missing observation."""

    results: list[float | None]


@serve.deployment(num_replicas=1, max_ongoing_requests=2 * MOST_CALLS)
class Kalman:
    """A local level filter."""

    @serve.batch(max_batch_size=MOST_CALLS, batch_wait_timeout_s=BATCH_WAIT_S)
    async def filtered(self, series: list[list[float | None]]) -> list[list[float]]:
        """Filter the series of all calls of a batch."""
        return filter_series(series)

    async def __call__(self, request: Request) -> Response:
        """Filter one series."""
        if request.method == "GET":
            return Response(b'{"status":"ready"}', media_type="application/json")
        try:
            # Parses and validates in one go.
            series = Series.model_validate_json(await request.body()).results
        except ValidationError as error:
            return Response(error.json(), status_code=422, media_type="application/json")
        answer = {"processed_results": await self.filtered(series), "input_data": series}
        return Response(orjson.dumps(answer), media_type="application/json")


def main() -> None:
    """Serve until SIGTERM."""
    port, folder = int(sys.argv[1]), sys.argv[2]
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        ray.init(
            address="local",
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.WARNING,
            object_store_memory=OBJECT_STORE_BYTES,
            _temp_dir=folder,
            _node_ip_address=LOOPBACK,
        )
        # Ray has put its own in place.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        quiet = LoggingConfig(log_level="WARNING", enable_access_log=False)
        serve.start(http_options=HTTPOptions(host=LOOPBACK, port=port), logging_config=quiet)
        serve.run(Kalman.bind(), name="kalman", route_prefix="/kalman", logging_config=quiet)
        while True:
            time.sleep(1)
    except KeyboardInterrupt:
        pass
    finally:
        # A second signal must not leave processes behind.
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        serve.shutdown()
        ray.shutdown()


if __name__ == "__main__":
    main()
