"""`python -m benchmarks.http.many_series`: a thousand series in one call, as JSON and as Arrow.

The limit is orjson: parsing the same JSON body and printing the same JSON answer, in this process. All take turns, and
both answers must hold the same numbers.
"""

import argparse
import http.client
import io
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import orjson
import pyarrow as pa

from luna_serving.wire.tabular import ARROW, JSON

from .servers import Server, luna

SERIES = 1000
MODEL = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.1}
# Of the issue that this measures: JSON takes at most twice orjson's time, and Arrow an eighth of JSON's.
MOST_OF_ORJSON = 2.0
LEAST_OF_JSON = 8.0


class Caller:
    """One connection, kept open."""

    def __init__(self, server: Server) -> None:
        self._server = server
        parts = urlsplit(server.origin)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)

    def post(self, body: bytes, media_type: str) -> bytes:
        """The body of the answer.

        Raises:
            RuntimeError: it is not a 200.
        """
        headers = {"X-API-Key": self._server.api_key, "Content-Type": media_type}
        self._connection.request("POST", f"{self._server.path}/filter", body, headers)
        answer = self._connection.getresponse()
        content = answer.read()
        if answer.status != http.client.OK:
            raise RuntimeError(f"{answer.status}: {content[:300]!r}")
        return content


def bodies(points: int) -> tuple[bytes, bytes]:
    """The same request as JSON and as an Arrow stream."""
    series = np.random.default_rng(3).normal(size=(SERIES, points)).cumsum(axis=1)
    members = {"model": MODEL, "outputs": ["filtered_state"]}
    as_json = orjson.dumps(members | {"observations": series}, option=orjson.OPT_SERIALIZE_NUMPY)
    table = pa.table({"observations": list(series)}).replace_schema_metadata({"luna": json.dumps(members)})
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return as_json, sink.getvalue()


def timed(run: Callable[[], object]) -> float:
    """Seconds that a call takes."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def main() -> int:
    """Run the benchmark; return 1 where a bound is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.http.many_series", description="Many series per call.")
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=30)
    options = parser.parse_args()
    as_json, as_arrow = bodies(options.points)
    with tempfile.TemporaryDirectory(prefix="luna-bench-") as folder, luna(Path(folder)) as server:
        caller = Caller(server)
        printed = orjson.loads(caller.post(as_json, JSON))
        expected = np.array([each["filtered_state"] for each in printed["results"]])
        table = pa.ipc.open_stream(caller.post(as_arrow, ARROW)).read_all()
        found = table["filtered_state"].combine_chunks().flatten().flatten().to_numpy()
        np.testing.assert_array_equal(found, expected.ravel())
        runs: dict[str, Callable[[], object]] = {
            "orjson": lambda: (orjson.loads(as_json), orjson.dumps(printed)),
            "Luna, JSON": lambda: caller.post(as_json, JSON),
            "Luna, Arrow": lambda: caller.post(as_arrow, ARROW),
        }
        seconds: dict[str, list[float]] = {name: [] for name in runs}
        for _ in range(options.rounds):
            for name, run in runs.items():
                seconds[name].append(timed(run))
    for name, each in seconds.items():
        print(f"{name:<12} median {statistics.median(each) * 1e3:7.2f} ms   least {min(each) * 1e3:7.2f} ms")
    limit, of_json, of_arrow = (statistics.median(each) for each in seconds.values())
    print(f"JSON takes {of_json / limit:.2f} times orjson; Arrow is {of_json / of_arrow:.1f} times faster than JSON")
    return int(of_json / limit > MOST_OF_ORJSON or of_json / of_arrow < LEAST_OF_JSON)


if __name__ == "__main__":
    sys.exit(main())
