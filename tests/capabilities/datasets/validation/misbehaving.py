"""Validators that do what hostile files make libraries do. They run in the sandbox's children."""

import contextlib
import ctypes
import os
import socket
import subprocess
import sys
import time
from pathlib import Path


def echo(arguments, emit):
    emit({"progress": 1})
    return {"got": arguments}


def allocate(arguments, emit):
    return {"size": len(bytearray(arguments["bytes"]))}


def allocate_slowly(arguments, emit):
    kept = []
    while True:
        kept.append(os.urandom(1 << 20))


def spin(arguments, emit):
    while True:
        pass


def sleep(arguments, emit):
    emit({"pid": os.getpid()})
    time.sleep(3600)


def fault(arguments, emit):
    ctypes.string_at(0)


def leave(arguments, emit):
    os._exit(0)


def talk(arguments, emit):
    while True:
        emit({"finding": "x" * 1000})


def one_long_line(arguments, emit):
    emit({"finding": "x" * (10 << 20)})


def stop(arguments, emit):
    raise LookupError("no such thing")


def forged(arguments, emit):
    for descriptor in range(3, 64):
        with contextlib.suppress(OSError):
            os.write(descriptor, b"\xff\xfe not json\n[1]\n" + b"[" * 100_000 + b"\n")
    return {"fine": True}


def attempts(arguments, emit):
    """What each attempt at leaving the sandbox met."""

    def met(attempt):
        try:
            attempt()
        except OSError as error:
            return type(error).__name__
        return "done"

    return {
        "socket": met(lambda: socket.socket(socket.AF_INET).connect(("127.0.0.1", arguments["port"]))),
        "program": met(lambda: subprocess.run(["/bin/true"], check=True)),
        "write": met(lambda: Path(arguments["file"]).write_text("x" * 100)),
        "kill": met(lambda: os.kill(arguments["pid"], 0)),
        "files": met(lambda: [os.open("/dev/null", os.O_RDONLY) for _ in range(1000)]),
        "environment": sorted(os.environ),
    }


def modules(arguments, emit):
    return {"modules": sorted(name for name in sys.modules if "." not in name)}


def leave_children(arguments, emit):
    pid = os.fork()
    if pid == 0:
        time.sleep(3600)
    emit({"pid": pid})
    return {}
