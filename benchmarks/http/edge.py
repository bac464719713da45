"""Two ingress edges in one process, one with the request log and one without, on a Postgres and a Valkey of their own.

All of a call's way through an ingress replica is there: uvicorn, authentication, the debit in Redis, the gate, metrics.
The capability is an echo in the same process, without Ray: what the log costs is set against less than a real call.
Prints one line of JSON when it is ready.
"""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import orjson
import uvicorn
from prometheus_client import CollectorRegistry

from luna_serving.access.credentials import Authenticator
from luna_serving.access.request_log.wiring import request_log
from luna_serving.access.throttle.attempts import Attempts
from luna_serving.access.throttle.metrics import ThrottleMetrics
from luna_serving.access.throttle.redis_buckets import RedisBuckets
from luna_serving.access.tokens import Tokens
from luna_serving.access.wiring import access
from luna_serving.dispatch.gate import Gate, GateLimits
from luna_serving.edge.asgi import Edge
from luna_serving.edge.client_address import TrustedProxies
from luna_serving.edge.middleware import ServeErrorsAsProblems
from luna_serving.edge.operation import Operation
from luna_serving.edge.recording import Recorder
from luna_serving.edge.refused_credentials import RefusedCredentials
from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer
from luna_serving.settings import DispatchSettings, ThrottleSettings
from luna_serving.settings.records import RequestsSettings
from luna_serving.telemetry.metrics import AccessMetrics, DispatchMetrics, RequestMetrics
from luna_store.accounts.accounts import Accounts, AccountSpec
from luna_store.accounts.api_keys import Peppers
from luna_store.accounts.cache import AccountCache
from luna_store.accounts.postgres_quota import PostgresQuota
from luna_store.platform.postgres import async_engine
from luna_store.platform.schema import migrate
from luna_store.quota.redis_quota import RedisQuota, redis_client

QUOTA = 1_000_000_000
PEPPERS = Peppers.parse("benchmark:" + "p" * 32)


class Echo:
    """A call of one unit, whose answer is what was sent."""

    units, points, grant = 1, 1, None
    amounts: ClassVar[dict[str, int]] = {}

    def __init__(self, body: bytes) -> None:
        self.job = orjson.loads(body)

    def limit_error(self, limit: str, most: int) -> Any:  # noqa: ANN401  the protocol's
        """Never called: it has no limits."""
        raise AssertionError(limit, most)

    def finish(self, result: bytes) -> bytes:
        """The answer's body."""
        return result


async def compute(jobs: Sequence[Any]) -> list[bytes]:
    """Answer each job with itself."""
    return [orjson.dumps(job) for job in jobs]


async def serve(database_url: str, redis_url: str) -> None:
    """Serve both until the process ends."""
    engine, redis = async_engine(database_url), redis_client(redis_url)
    accounts, cache = Accounts(engine, PEPPERS), AccountCache(engine, redis)
    spec = AccountSpec(
        account_name="benchmark", quota_limit=QUOTA, rate_per_second=1e6, rate_burst=1_000_000, allowed={"*": ["*"]}
    )
    account_id, key = await accounts.create(spec)
    await cache.rebuild(account_id)
    ports, servers = {}, []
    for name in ("on", "off"):
        registry = CollectorRegistry()
        wired = access(
            redis,
            RedisQuota(redis),
            PostgresQuota(engine),
            cache,
            accounts,
            Authenticator(PEPPERS, Tokens(PEPPERS, 900)),
            AccessMetrics(registry),
            timeout_s=4,
        )
        proxies = TrustedProxies(())
        attempts = Attempts(RedisBuckets(redis), wired.outage, ThrottleSettings(), PEPPERS, ThrottleMetrics(registry))
        settings = RequestsSettings(log=name == "on")
        log = request_log(engine, wired.authorization.owner_of, registry, settings)
        limits = GateLimits(**DispatchSettings().model_dump(), request_timeout_s=30)
        gate = Gate(wired.charges, compute, limits, DispatchMetrics(registry).of("echo"))

        async def nothing(*_: object) -> None:
            raise AssertionError

        edge = Edge(
            [Operation("echo", gate, Echo, capability="echo")],
            wired.authorization,
            wired.charges,
            nothing,
            nothing,
            ThreadPoolExecutor(1),
            Recorder(RequestMetrics(registry), rows=log.append if log else None, address=proxies.address),
            RefusedCredentials(attempts, proxies, wired.authorization),
            max_body_bytes=10**7,
            timeout_s=30,
        )
        listener = socket.create_server(("127.0.0.1", 0))
        ports[name] = listener.getsockname()[1]
        config = uvicorn.Config(ServeErrorsAsProblems(edge), lifespan="off", log_level="warning", access_log=False)
        servers.append(asyncio.create_task(uvicorn.Server(config).serve(sockets=[listener])))
    path = f"/api/v1/{account_id}/echo"
    print(json.dumps({"ports": ports, "path": path, "key": key.secret, "pid": os.getpid()}), flush=True)
    await asyncio.gather(*servers)


def main() -> None:
    """Start the stores in a folder, and serve."""
    import uvloop

    work = Path(sys.argv[1])
    with ExitStack() as stack:
        postgres = stack.enter_context(PostgresServer(work / "postgres", work))
        # As Redis recommends: waiting for the disk with each debit would hide what a call takes.
        valkey = stack.enter_context(ValkeyServer(work / "valkey", work, appendfsync="everysec"))
        migrate(postgres.url)
        uvloop.run(serve(postgres.url, valkey.url))


if __name__ == "__main__":
    main()
