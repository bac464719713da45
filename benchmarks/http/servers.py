"""Start and stop Luna, the original design and the echo, and check that they answer rightly before anything is timed.

Everything listens on loopback. Each server is tied to this process: it ends with it, however it ends.
"""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import redis

from luna_serving.local.data_folder.ports import free_port
from luna_serving.local.servers.process import ServerProcess, wait_until
from luna_serving.local.servers.valkey import ValkeyServer

from .series import Load, fault_in_echo, fault_in_filter
from .wire import ORIGINAL, Wire

ROOT = Path(__file__).resolve().parents[2]
QUOTA = 1_000_000_000

# Each body goes out this often at once, so that a server that batches is seen batching and must still hand
# every caller its own answer.
COPIES = 4

_UVICORN_START_S = 60.0
_LUNA_START_S = 300.0  # the first start compiles
_STOP = ((signal.SIGTERM, 10.0),)
_LUNA_STOP = ((signal.SIGTERM, 30.0),)


class WrongAnswerError(RuntimeError):
    """A server answered something else than the reference: timing it would mean nothing."""


@dataclass(frozen=True)
class Server:
    """A server that is up: where to post to, and as whom."""

    name: str
    origin: str
    path: str
    api_key: str
    wire: Wire = ORIGINAL

    @property
    def url(self) -> str:
        """Where the bodies go."""
        return self.origin + self.path

    def fault(self, load: Load, which: int, answer: object) -> str | None:
        """Say what is wrong with the answer to one of the load's bodies, if anything."""
        if self.name == "echo":
            return fault_in_echo(load.bodies[which], answer)
        try:
            original = self.wire.answer(answer)
        except (IndexError, KeyError, TypeError, ValueError):
            return f"not an answer of its protocol: {str(answer)[:200]}"
        return fault_in_filter(load.bodies[which], original, load.last_levels[which])


@contextmanager
def original(work: Path) -> Iterator[Server]:
    """Run the original design with a Valkey of its own."""
    # `everysec` is what Redis recommends and what the original would run with: no sync to disk in a request.
    with ValkeyServer(work / "valkey", work, appendfsync="everysec") as valkey:
        with redis.Redis.from_url(valkey.url) as client:
            client.set("api_key:benchmark", 1)
            client.set("user:1:quota", QUOTA)
        with _uvicorn("original", work, REDIS_URL=valkey.url) as origin:
            yield Server("original", origin, "/api/v1/1/kalman", "benchmark")


@contextmanager
def echo(work: Path) -> Iterator[Server]:
    """Run the echo."""
    with _uvicorn("echo", work) as origin:
        yield Server("echo", origin, "/echo", "benchmark")


@contextmanager
def luna(work: Path, name: str = "luna", **settings: str) -> Iterator[Server]:
    """Run `luna up` on a fresh data folder with databases of its own, under further settings."""
    data = work / name
    program = Path(sys.executable).with_name("luna")
    # With a developer's DATABASE_URL or REDIS_URL set, Luna would run on those instead of on its own.
    env = {each: value for each, value in os.environ.items() if each not in {"DATABASE_URL", "REDIS_URL"}} | settings
    port, quota = str(free_port()), str(QUOTA)
    process = ServerProcess(
        [str(program), "up", "--port", port, "--data-dir", str(data), "--quota", quota],
        log_file=work / f"{name}.log",
        env=env,
        cwd=ROOT,
    )
    try:
        wait_until(lambda: _luna_is_ready(data / "env"), process, _LUNA_START_S)
        facts = read_env(data / "env")
        path = f"/api/v1/{facts['LUNA_ACCOUNT_ID']}/kalman"
        yield Server(name, facts["LUNA_URL"].rstrip("/"), path, facts["LUNA_API_KEY"])
    finally:
        process.stop(*_LUNA_STOP)


def luna_command(data: Path, *arguments: str, typed: str = "") -> str:
    """Run a command of `luna` with two words, such as `account create`, on a data folder; return what it prints."""
    command = [str(Path(sys.executable).with_name("luna")), *arguments[:2], "--data-dir", str(data), *arguments[2:]]
    return subprocess.run(command, input=typed, capture_output=True, text=True, check=True).stdout


STARTERS = {"original": original, "echo": echo, "luna": luna}


@contextmanager
def _uvicorn(module: str, work: Path, **env: str) -> Iterator[str]:
    """Run an application of this folder on one uvicorn worker; yield its origin."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    process = ServerProcess(
        [
            *(sys.executable, "-m", "uvicorn", f"benchmarks.http.{module}:app"),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", "1"),
            *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
        ],
        log_file=work / f"{module}.log",
        env={**os.environ, **env},
        cwd=ROOT,
    )
    try:
        wait_until(lambda: answers(f"{origin}/health/ready"), process, _UVICORN_START_S)
        yield origin
    finally:
        process.stop(*_STOP)


def _luna_is_ready(env_file: Path) -> bool:
    facts = read_env(env_file)
    return "LUNA_API_KEY" in facts and answers(facts["LUNA_URL"].rstrip("/") + "/health/ready")


def read_env(env_file: Path) -> Mapping[str, str]:
    """What `luna up` wrote about itself; nothing while it has not."""
    lines = env_file.read_text().splitlines() if env_file.exists() else []
    return dict(line.split("=", 1) for line in lines if "=" in line)


def answers(url: str) -> bool:
    """Whether a GET is answered with a 2xx."""
    try:
        # trust_env: a proxy of the environment is not meant for loopback.
        return httpx.get(url, timeout=5.0, trust_env=False).is_success
    except httpx.TransportError:
        return False


def verify(server: Server, load: Load) -> int:
    """Send every body several times, all at once; return the length of the shortest answer in bytes.

    Raises:
        WrongAnswerError: any answer is not a 200 or not the reference's.
    """
    return asyncio.run(_verify(server, load))


async def _verify(server: Server, load: Load) -> int:
    turns = [which for which in range(len(load.bodies)) for _ in range(COPIES)]
    headers = {"Content-Type": "application/json", "X-API-Key": server.api_key}
    async with httpx.AsyncClient(timeout=60.0, trust_env=False, headers=headers) as client:
        answers = await asyncio.gather(
            *(client.post(server.url, content=server.wire.body(load.bodies[which])) for which in turns)
        )
    for which, answer in zip(turns, answers, strict=True):
        fault = (
            server.fault(load, which, answer.json())
            if answer.status_code == httpx.codes.OK
            else f"status {answer.status_code}: {answer.text[:300]}"
        )
        if fault is not None:
            raise WrongAnswerError(f"{server.name}, {load.points} points: {fault}")
    return min(len(answer.content) for answer in answers)


def haproxy_in_use(server: Server) -> object:
    """Return what Luna's detailed health says about its proxy; None where it says nothing."""
    try:
        answer = httpx.get(
            f"{server.origin}/health/detailed",
            headers={"X-API-Key": server.api_key},
            timeout=10.0,
            trust_env=False,
        ).json()
    except (httpx.TransportError, ValueError):
        return None
    return _find("proxy", answer)


def _find(part_of_name: str, node: object) -> object:
    """Return the first value under a name that contains `part_of_name`, at any depth."""
    if isinstance(node, list):
        node = dict(enumerate(node))
    if not isinstance(node, dict):
        return None
    for name, value in node.items():
        if part_of_name in str(name).lower():
            return value
    return next((found for value in node.values() if (found := _find(part_of_name, value)) is not None), None)
