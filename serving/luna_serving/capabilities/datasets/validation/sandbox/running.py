"""The parent's side of the sandbox: starts the server, sends runs to it, and turns what comes back into outcomes."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Any, Final, Self

from luna_serving.capabilities.datasets.validation.sandbox.limits import Ending, Limits, Outcome
from luna_serving.capabilities.datasets.validation.sandbox.server import message_of

SERVER: Final = "luna_serving.capabilities.datasets.validation.sandbox.server"
_START_S: Final = 60
"""For the imports of a server, on a machine that does something else besides."""
_ENDINGS: Final = {
    Ending.MEMORY: "It needs more memory than a validator may use.",
    Ending.CPU: "It needs more processor time than a validator may use.",
    Ending.WALL_CLOCK: "It takes longer than a validator may take.",
    Ending.OUTPUT: "The validator had more to say than it may.",
    Ending.CRASHED: "A library crashed while it read the file.",
    Ending.RAISED: "The validator stopped while it read the file.",
}


class Sandbox:
    """Runs validators in child processes, several at once. Belongs to one event loop.

    The thread that first calls `run` starts the server, and the server ends with that thread: run the loop in a thread
    that lives as long as the sandbox.
    """

    def __init__(self, *, preload: Sequence[str] = (), limits: Limits | None = None, at_once: int = 2) -> None:
        """Make a sandbox; nothing is started yet.

        Args:
            preload: modules that the server imports, so that children need not.
            limits: of a run that has no limits of its own.
            at_once: runs at the same time; more wait.
        """
        self._preload = tuple(preload)
        self._limits = limits or Limits()
        self._turns = asyncio.Semaphore(at_once)
        self._starting = asyncio.Lock()
        self._server: _Server | None = None
        self.missing: tuple[str, ...] = ()
        """What this system does not isolate; known after the first run."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Kill what still runs, and the server."""
        if self._server is not None:
            await self._server.close()
            self._server = None

    async def run(
        self,
        validator: str,
        arguments: Mapping[str, Any],
        *,
        each: Callable[[Mapping[str, Any]], None] = lambda _: None,
        limits: Limits | None = None,
    ) -> Outcome:
        """Run a validator to its end, or to that of its limits. Cancelling kills the child.

        Args:
            validator: `module:function`, a `server.Validator`.
            arguments: its first argument, JSON.
            each: called with each message that it sends. They come from the child: check them as you would a request.
            limits: of this run.
        """
        limits = limits or self._limits
        async with self._turns:
            try:
                server = await self._running()
            except (OSError, TimeoutError, EOFError) as error:
                return Outcome(Ending.REFUSED, detail=f"The sandbox did not start: {error or type(error).__name__}.")
            request = {"validator": validator, "arguments": arguments, "limits": asdict(limits)}
            return await server.run(json.dumps(request).encode(), limits, each)

    async def _running(self) -> "_Server":
        async with self._starting:
            if self._server is None or self._server.gone:
                await self.close()
                self._server = await _Server.start(self._preload)
                self.missing = self._server.missing
            return self._server


class _Server:
    """One server process."""

    def __init__(
        self,
        process: subprocess.Popen[bytes],
        control: socket.socket,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._process = process
        self._control = control
        self._writer = writer
        self._runs: dict[int, asyncio.Future[Mapping[str, Any]]] = {}
        self._last = 0
        self.gone = False
        self.missing: tuple[str, ...] = ()
        self._reader = reader
        self._listening: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, preload: Sequence[str]) -> "_Server":
        ours, theirs = socket.socketpair()
        with theirs:
            # In the thread of the loop: the server dies with the thread that starts it.
            process = subprocess.Popen(  # noqa: ASYNC220, S603  this interpreter
                [sys.executable, "-m", SERVER, str(theirs.fileno()), str(os.getpid()), *preload],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                env=_environment(),
                pass_fds=[theirs.fileno()],
                start_new_session=True,
                cwd="/",
            )
        # A descriptor of its own for reading, which asyncio closes.
        server = cls(process, ours, *await asyncio.open_connection(sock=ours.dup()))
        try:
            async with asyncio.timeout(_START_S):
                ready = json.loads(await server._reader.readuntil(b"\n"))
            if failed := ready.get("failed"):
                raise OSError(failed)
        except BaseException:
            await server.close()
            raise
        server.missing = tuple(ready["missing"])
        server._listening = asyncio.create_task(server._listen())
        return server

    async def run(self, request: bytes, limits: Limits, each: Callable[[Mapping[str, Any]], None]) -> Outcome:
        began = time.monotonic()
        self._last += 1
        run = self._last
        ended: asyncio.Future[Mapping[str, Any]] = asyncio.get_running_loop().create_future()
        self._runs[run] = ended
        ours, theirs = socket.socketpair()
        with theirs:
            self._tell("run", run, theirs)
        reader, writer = await asyncio.open_connection(sock=ours, limit=limits.line_bytes)
        last: Mapping[str, Any] = {}
        stopped: Ending | None = None
        try:
            async with asyncio.timeout(limits.wall_s):
                last = await _exchange(reader, writer, request, limits, each)
                status = await asyncio.shield(ended)
        except TimeoutError:
            stopped = Ending.WALL_CLOCK
        except _TooMuch:
            stopped = Ending.OUTPUT
        finally:
            if not ended.done():
                self._tell("kill", run)
                if stopped is None:
                    self._runs.pop(run, None)
            writer.close()
        if stopped is not None:
            status = await ended
        self._runs.pop(run, None)
        return _outcome(stopped, status, last, time.monotonic() - began)

    async def close(self) -> None:
        self.gone = True
        if self._listening is not None:
            self._listening.cancel()
        self._writer.close()
        self._control.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await asyncio.to_thread(self._process.wait)
        self._lost()

    def _tell(self, verb: str, run: int, descriptor: socket.socket | None = None) -> None:
        with contextlib.suppress(OSError):  # A server that is gone; `_listen` says so.
            if descriptor is None:
                self._control.send(message_of(verb, run))
            else:
                socket.send_fds(self._control, [message_of(verb, run)], [descriptor.fileno()])

    async def _listen(self) -> None:
        while line := await self._reader.readline():
            status = json.loads(line)
            if (ended := self._runs.pop(status["run"], None)) is not None and not ended.done():
                ended.set_result(status)
        self.gone = True
        self._lost()

    def _lost(self) -> None:
        for ended in self._runs.values():
            if not ended.done():
                ended.set_result({"refused": "the server of the sandbox ended"})
        self._runs.clear()


class _TooMuch(Exception):
    """A child wrote more than it may."""


async def _exchange(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    request: bytes,
    limits: Limits,
    each: Callable[[Mapping[str, Any]], None],
) -> Mapping[str, Any]:
    """Send the request, pass messages on, and return the last: the child's own word on its end."""
    last: Mapping[str, Any] = {}
    size = 0
    with contextlib.suppress(ConnectionError):
        writer.write(request)
        writer.write_eof()
        while True:
            try:
                line = await reader.readuntil(b"\n")
            except asyncio.IncompleteReadError:
                return last
            except asyncio.LimitOverrunError as error:
                raise _TooMuch from error
            size += len(line)
            if size > limits.output_bytes:
                raise _TooMuch
            message = _read(line)
            if "result" in message or "ended" in message:
                last = message
            else:
                each(message)
    return last


def _read(line: bytes) -> Mapping[str, Any]:
    try:
        message = json.loads(line)
    except (ValueError, RecursionError):
        return {}
    return message if isinstance(message, dict) else {}


def _outcome(stopped: Ending | None, status: Mapping[str, Any], last: Mapping[str, Any], wall_s: float) -> Outcome:
    if refused := status.get("refused"):
        return Outcome(Ending.REFUSED, detail=f"The sandbox did not run the validator: {refused}.", wall_s=wall_s)
    used = {"peak_bytes": status["peak_bytes"], "cpu_s": status["cpu_s"], "wall_s": wall_s}
    result = last.get("result")
    if stopped is None and isinstance(result, dict):
        return Outcome(Ending.FINISHED, result, **used)
    if stopped is not None:
        ending = stopped
    elif last.get("ended") == "memory":
        ending = Ending.MEMORY
    elif last.get("ended") == "raised":
        ending = Ending.RAISED
    elif status["signal"] == signal.SIGXCPU:
        ending = Ending.CPU
    else:
        ending = Ending.CRASHED
    detail = _ENDINGS[ending]
    if ending is Ending.RAISED:
        detail = f"{detail} {last.get('detail', '')}"
    elif ending is Ending.CRASHED and status["signal"]:
        detail = f"{detail} ({signal.Signals(status['signal']).name})"
    return Outcome(ending, detail=detail, **used)


def _environment() -> dict[str, str]:
    """No variable of ours: they hold the addresses and keys of stores."""
    return {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONSAFEPATH": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        # Allocators and thread pools that reserve address space would use up the memory limit.
        "ARROW_DEFAULT_MEMORY_POOL": "system",
        "MALLOC_ARENA_MAX": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
