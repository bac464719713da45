"""A small application behind the real Serve and HAProxy, as `luna up` runs them, without stores.

The program of the replicas' cluster runs as `python -m tests.edge.served PORT RAY_DIR` and takes one command per line:
a JSON object with the options of the deployment, or `"ongoing"`. It answers each with a line.
"""

import asyncio
import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import httpx

from luna_serving.edge.bodies import Receive, Scope, Send
from luna_serving.edge.deployment import Connected, IngressReplica
from luna_serving.local.data_folder.ports import LOOPBACK, free_port
from luna_serving.local.loopback.ray_environment import haproxy_binary, install_haproxy, ray_environment

PEPPERS = "test:" + "p" * 32


def through_wrapper() -> bool:
    """Whether Serve's wrapper has made the context of the present call: it gives each an id."""
    from ray.serve.context import _get_serve_request_context

    return bool(_get_serve_request_context().request_id)


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer `/call?s=0.2` after so many seconds, with what is known of the call; `/fault` with none."""
    if scope["type"] == "lifespan":
        for step in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{step}.complete"})
        return
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": json.dumps({"wrapper": through_wrapper()})})
        await send({"type": "websocket.close"})
        return
    if scope["path"] == "/fault":
        raise RuntimeError("on purpose")
    asked = parse_qs(scope["query_string"].decode())
    wrapper = through_wrapper()
    await asyncio.sleep(float(asked.get("s", ["0"])[0]))
    facts = {"pid": os.getpid(), "port": scope["server"][1], "wrapper": wrapper}
    body = json.dumps(facts).encode()
    head = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": head})
    await send({"type": "http.response.body", "body": body})


async def connect(_version: str) -> Connected:
    """Wire the replica; another version is another constructor argument, which Serve rolls out."""

    async def close() -> None:
        """Nothing is open."""

    return Connected(answer, close)


def _deploy(options: dict[str, Any]) -> None:
    from ray import serve
    from ray.serve.schema import LoggingConfig

    version = options.pop("version", "1")
    deployment = serve.deployment(
        name="ingress",
        ray_actor_options={"num_cpus": 0},
        graceful_shutdown_wait_loop_s=0.1,
        health_check_period_s=1.0,
        **options,
    )(serve.ingress()(IngressReplica))
    quiet = LoggingConfig(log_level="WARNING", enable_access_log=False)
    serve.run(deployment.bind(connect, version), name="luna", route_prefix="/", logging_config=quiet)


def _ongoing() -> list[int]:
    import ray

    names = [each for each in ray.util.list_named_actors(all_namespaces=True) if "SERVE_REPLICA::" in each["name"]]
    found: list[int] = []
    for each in names:
        try:
            replica: Any = ray.get_actor(each["name"], namespace=each["namespace"])
            found.append(ray.get(replica.get_num_ongoing_requests.remote(), timeout=10))
        except (ValueError, ray.exceptions.RayError):
            continue  # it has gone meanwhile
    return sorted(found)


def main() -> None:
    """Start Ray and Serve, and obey."""
    import ray
    from ray import serve
    from ray.serve.config import HTTPOptions

    port, ray_dir = int(sys.argv[1]), sys.argv[2]
    ray.init(
        address="local",
        num_cpus=4,
        include_dashboard=False,
        log_to_driver=False,
        object_store_memory=100 * 1024 * 1024,
        _temp_dir=ray_dir,
        _node_ip_address=LOOPBACK,
    )
    try:
        serve.start(http_options=HTTPOptions(host=LOOPBACK, port=port))
        for line in sys.stdin:
            command = json.loads(line)
            told: list[int] | None = None
            if command == "ongoing":
                told = _ongoing()
            else:
                _deploy(command)
            sys.stdout.write("\n" + json.dumps({"done": told}) + "\n")
            sys.stdout.flush()
    finally:
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()


class Served:
    """The running program."""

    def __init__(self, url: str, process: "subprocess.Popen[str]", log: Path) -> None:
        self.url = url
        self.log = log
        self._process = process

    def deploy(self, **options: Any) -> None:
        """Run the application with these options of its deployment; returns when it is ready."""
        self._ask(options)

    def ongoing(self) -> list[int]:
        """The requests that each replica reports as ongoing."""
        found: list[int] = self._ask("ongoing")
        return found

    def _ask(self, command: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        for line in self._process.stdout:
            if line.startswith('{"done"'):
                return json.loads(line)["done"]
        raise AssertionError(self.log.read_text())


@contextmanager
def served(folder: Path, **variables: str) -> Iterator[Served]:
    """Start it.

    Args:
        folder: where its log goes; with a short path, because sockets are below it.
        variables: of its environment.
    """
    binary = haproxy_binary()
    assert binary is not None
    (folder / "ha").mkdir()
    token = folder / "token"
    token.touch(0o600)
    token.write_text(secrets.token_hex(32))
    port, log = free_port(), folder / "log"
    inherited = {**os.environ, "LUNA_PEPPERS": PEPPERS, **variables}
    environment = ray_environment(inherited, folder, "haproxy", install_haproxy(folder, binary), cores=2)
    command = [sys.executable, "-m", "tests.edge.served", str(port), str(folder / "r")]
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        yield Served(f"http://{LOOPBACK}:{port}", process, log)
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(60)


def client(url: str) -> httpx.AsyncClient:
    """A client with many connections."""
    return httpx.AsyncClient(base_url=url, timeout=60, limits=httpx.Limits(max_connections=64))


if __name__ == "__main__":
    main()
