"""`python -m benchmarks.http.fairness`: what one account's flood costs another.

One polite account sends a call after the other; in turns alone, and beside a flood of another account: of small calls
on many connections, and of calls of a thousand series. It prints the polite account's latencies and the ratio of their
99th percentiles, each pair of slices being neighbours in time.
"""

import argparse
import asyncio
import statistics
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import orjson

from luna_store.accounts.accounts import Accounts, AccountSpec
from luna_store.accounts.api_keys import Peppers
from luna_store.accounts.cache import AccountCache
from luna_store.platform.postgres import async_engine
from luna_store.quota.redis_quota import redis_client

from .series import make_load
from .servers import QUOTA, Server, luna, read_env
from .wrk import INSTALL_WRK, Slice, measure, wrk_program

PEPPERS = "benchmark:" + "p" * 32
MOST_RATIO = 2.0
LARGE_SERIES = 1000
LARGE_CONNECTIONS = 2
# The flood begins before the slice that is read, and ends after it.
AROUND_S = 1


async def another_account(facts: dict[str, str]) -> tuple[int, str]:
    """Id and key of a second account of the same Luna."""
    engine, redis = async_engine(facts["DATABASE_URL"]), redis_client(facts["REDIS_URL"])
    try:
        spec = AccountSpec(
            account_name="polite", quota_limit=QUOTA, rate_per_second=1e6, rate_burst=1_000_000, allowed={"*": ["*"]}
        )
        account_id, key = await Accounts(engine, Peppers.parse(PEPPERS)).create(spec)
        await AccountCache(engine, redis).rebuild(account_id)
        return account_id, key.secret
    finally:
        await redis.aclose()
        await engine.dispose()


def large_bodies(work: Path, points: int) -> Path:
    """A file with one call of a thousand series."""
    rng = np.random.default_rng(7)
    series = rng.normal(size=(LARGE_SERIES, points)).cumsum(axis=1)
    model = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.1}
    body = {"model": model, "observations": series, "outputs": ["filtered_state"]}
    path = work / "large"
    path.write_bytes(orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
    return path


def pair(polite: Server, flood: Server, small: Path, sent: Path, connections: int, seconds: int) -> tuple[Slice, Slice]:
    """The polite account alone, then beside the flood."""

    def call(server: Server, bodies: Path, many: int, length: float) -> Slice:
        return measure(server, bodies, connections=many, seconds=length, shortest_answer=1)

    alone = call(polite, small, 1, seconds)
    with ThreadPoolExecutor(1) as pool:
        flooding = pool.submit(call, flood, sent, connections, seconds + 2 * AROUND_S)
        call(polite, small, 1, AROUND_S)
        beside = call(polite, small, 1, seconds)
        flooded = flooding.result()
    faults = alone.faults | beside.faults | flooded.faults
    return alone, replace(beside, faults=faults)


def shown(name: str, pairs: Sequence[tuple[Slice, Slice]]) -> float:
    """Print a line and return the median ratio of the 99th percentiles."""
    alone, beside = zip(*pairs, strict=True)
    ratio = statistics.median(after.p99_ms / before.p99_ms for before, after in pairs)
    print(
        f"{name:<28} alone p50 {statistics.median(s.p50_ms for s in alone):6.2f} ms  "
        f"p99 {statistics.median(s.p99_ms for s in alone):6.2f} ms   "
        f"beside p50 {statistics.median(s.p50_ms for s in beside):6.2f} ms  "
        f"p99 {statistics.median(s.p99_ms for s in beside):6.2f} ms   ratio of p99 {ratio:.2f}"
    )
    for each in beside:
        if each.faults:
            print(f"  {each.faults}")
    return ratio


def main() -> int:
    """Run the benchmark; return 1 if a flood slows the polite account's p99 by more than `MOST_RATIO`."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.http.fairness", description="What a flood costs others."
    )
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="length of a slice")
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--connections", type=int, default=32, help="of the flood of small calls")
    options = parser.parse_args()
    if wrk_program() is None:
        print(INSTALL_WRK, file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="luna-bench-") as folder, luna(Path(folder), LUNA_PEPPERS=PEPPERS) as flood:
        work = Path(folder)
        facts = dict(read_env(work / "luna" / "env"))
        account_id, key = asyncio.run(another_account(facts))
        polite = replace(flood, path=f"/api/v1/{account_id}/kalman", api_key=key)
        small, large = make_load(options.points).write(work / "small"), large_bodies(work, options.points)
        batch = replace(flood, path=flood.path + "/filter")
        floods = {
            f"{options.connections} connections": (flood, small, options.connections),
            f"{LARGE_SERIES} series per call": (batch, large, LARGE_CONNECTIONS),
        }
        worst = 0.0
        for name, (server, sent, connections) in floods.items():
            pairs = [pair(polite, server, small, sent, connections, options.seconds) for _ in range(options.pairs)]
            worst = max(worst, shown(name, pairs))
    return int(worst > MOST_RATIO)


if __name__ == "__main__":
    sys.exit(main())
