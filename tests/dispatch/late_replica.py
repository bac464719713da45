"""Run as a program: a caller of a deployment whose only replica starts after two refusals. Writes what it saw."""

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ray
from ray import serve

from luna_serving.dispatch.outcomes import ReplicaUnavailable
from luna_serving.dispatch.replica_call import on_replica

FIRST_REPLICA_S = 1.0
# Before the replica may start.
REFUSALS = 2


@serve.deployment(name="late", ray_actor_options={"num_cpus": 0})
class Late:
    async def __init__(self, sign: Path) -> None:  # type: ignore[misc]  # Serve awaits it
        while not sign.exists():  # noqa: ASYNC110, ASYNC240  another process makes it
            await asyncio.sleep(0.05)

    async def compute(self, capability: str, jobs: Sequence[Any]) -> Sequence[Any]:
        return jobs


@serve.deployment(name="caller", ray_actor_options={"num_cpus": 0})
class Caller:
    def __init__(self, host: Any, sign: Path) -> None:
        self._host = host
        self._sign = sign

    async def calls(self) -> dict[str, Any]:
        """Call until there is an answer."""
        refused = []
        while True:
            begun = time.monotonic()
            try:
                answers = await on_replica(self._host, "kalman", [7], first_replica_s=FIRST_REPLICA_S)
            except ReplicaUnavailable:
                refused.append(time.monotonic() - begun)
                if len(refused) == REFUSALS:
                    self._sign.touch()
            else:
                return {"answers": list(answers), "refused_after_s": refused}


def main() -> None:
    sign = Path(sys.argv[1])
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False)
    # Without an HTTP proxy, whose port might be taken.
    serve.start(proxy_location="Disabled")
    target = serve.RunTarget(Caller.bind(Late.bind(sign), sign), name="late", route_prefix=None)
    serve.run_many([target], wait_for_applications_running=False)
    # The caller runs; of the host it is known that it does not yet.
    handle = serve.get_deployment_handle("caller", "late", _check_exists=False)
    Path(sys.argv[2]).write_text(json.dumps(handle.calls.remote().result()))
    serve.shutdown()
    ray.shutdown()


if __name__ == "__main__":
    main()
