"""The server process: imports the validators' libraries once, and forks a child for each run.

Speaks with its parent over a Unix socket. The parent sends `run <id>` with the descriptor of the run's own socket, and
`kill <id>`. The server sends JSON lines: one when it is ready, one when a child has ended. Over its own socket a child
reads its arguments and writes its JSON lines, so that no child can speak for another.
"""

import contextlib
import importlib
import json
import os
import resource
import select
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from importlib.abc import MetaPathFinder
from typing import Any, Final, NoReturn

from luna_serving.capabilities.datasets.validation.sandbox import isolation
from luna_serving.capabilities.datasets.validation.sandbox.limits import Limits

Emit = Callable[[Mapping[str, Any]], None]
Validator = Callable[[Mapping[str, Any], Emit], Mapping[str, Any]]
"""Takes its arguments and a function that sends a message; returns its result. All are JSON."""

_MESSAGE_BYTES: Final = 128
_LONGEST_DETAIL: Final = 500


class Server:
    """Forks children and tells how they ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._children: dict[int, int] = {}
        """Run by process id."""

    def serve(self, preload: list[str]) -> None:
        """Serve until the parent closes the socket."""
        self._ended, told = os.pipe()
        for end in (self._ended, told):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(told, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            for module in preload:
                importlib.import_module(module)
        except ImportError as error:
            self._say({"failed": f"import: {error}"})
            return
        self._say({"ready": True, "missing": _missing()})
        try:
            while self._step():
                pass
        finally:
            for pid in self._children:
                _kill(pid)

    def _step(self) -> bool:
        sources: list[Any] = [self._control, self._ended]
        readable, _, _ = select.select(sources, [], [])
        if self._ended in readable:
            with contextlib.suppress(BlockingIOError):
                os.read(self._ended, 4096)
            self._reap()
        return self._control not in readable or self._hear()

    def _hear(self) -> bool:
        # Every message has the same length: a stream keeps no borders between messages.
        message, descriptors, _, _ = socket.recv_fds(self._control, _MESSAGE_BYTES, 1, socket.MSG_WAITALL)
        if not message:
            return False
        verb, run = message.decode().split()
        if verb == "run":
            self._fork(int(run), descriptors[0])
        else:
            for pid, each in self._children.items():
                if each == int(run):
                    _kill(pid)
        return True

    def _fork(self, run: int, descriptor: int) -> None:
        server = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            self._say({"run": run, "refused": f"fork: {error.strerror}"})
            os.close(descriptor)
            return
        if pid == 0:
            self._control.close()
            _child(server, descriptor)
        with contextlib.suppress(OSError):
            os.setpgid(pid, pid)
        os.close(descriptor)
        self._children[pid] = run

    def _reap(self) -> None:
        for pid in list(self._children):
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended:
                _kill(pid)  # What the child left in its group.
                self._say(
                    {
                        "run": self._children.pop(pid),
                        "signal": os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0,
                        "peak_bytes": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
                        "cpu_s": usage.ru_utime + usage.ru_stime,
                    }
                )

    def _say(self, message: Mapping[str, Any]) -> None:
        self._control.sendall(json.dumps(message).encode() + b"\n")


def message_of(verb: str, run: int) -> bytes:
    """A message to the server."""
    return f"{verb} {run}".encode().ljust(_MESSAGE_BYTES)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _missing() -> list[str]:
    """What this system does not isolate, in words. Moves this process out of the network."""
    missing = []
    if resource.getrlimit(resource.RLIMIT_AS)[1] == 0 or sys.platform != "linux":
        missing.append("limit of memory: RLIMIT_AS and /proc exist on Linux only")
    try:
        isolation.leave_network()
        network = True
    except isolation.Unavailable as error:
        network, why = False, str(error)
    pid = os.fork()
    if pid == 0:
        try:
            isolation.forbid_calls()
        except isolation.Unavailable:
            os._exit(1)
        os._exit(0)
    filtered = os.waitpid(pid, 0)[1] == 0
    if not filtered:
        missing.append("filter of system calls: seccomp is not available")
        if not network:
            missing.append(f"network: {why}")
    return missing


def _child(server: int, descriptor: int) -> NoReturn:
    """Run one validator and leave."""
    try:
        os.setpgid(0, 0)
        isolation.die_with_parent(server)
        # What a library prints about a file may quote it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        with open(descriptor, "rb", closefd=False) as request:
            asked = json.loads(request.read())
        isolation.limit(Limits(**asked["limits"]))
        with contextlib.suppress(isolation.Unavailable):
            isolation.forbid_calls()
        _write(descriptor, _ended(asked, lambda message: _write(descriptor, message)))
    finally:
        os._exit(0)


def _ended(asked: Mapping[str, Any], emit: Emit) -> Mapping[str, Any]:
    try:
        module, _, name = asked["validator"].partition(":")
        validator: Validator = getattr(importlib.import_module(module), name)
        return {"result": validator(asked["arguments"], emit)}
    except MemoryError:
        return {"ended": "memory"}
    except Exception as error:  # noqa: BLE001  what the validator did not expect becomes a value
        return {"ended": "raised", "detail": f"{type(error).__name__}: {error}"[:_LONGEST_DETAIL]}


def _write(descriptor: int, message: Mapping[str, Any]) -> None:
    # Not socket.send: the child may no longer use sendto(2).
    data = memoryview(json.dumps(message, allow_nan=False).encode() + b"\n")
    while data:
        data = data[os.write(descriptor, data) :]


class _WithoutPandas(MetaPathFinder):
    """Arrow imports pandas at its first conversion where it is installed: half a second and 40 MB for each child."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Refuse pandas; leave all else to the other finders."""
        del path, target
        if fullname == "pandas":
            raise ModuleNotFoundError("pandas is not used here", name=fullname)


def main() -> None:
    """Serve on the descriptor that the parent gave."""
    descriptor, parent, *preload = sys.argv[1:]
    sys.meta_path.insert(0, _WithoutPandas())
    isolation.die_with_parent(int(parent))
    Server(socket.socket(fileno=int(descriptor))).serve(preload)


if __name__ == "__main__":
    main()
