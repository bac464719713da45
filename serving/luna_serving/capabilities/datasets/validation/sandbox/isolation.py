"""What a child gives up before it opens a file: memory, time, files, the network, the right to start programs.

Only the standard library, and only system calls: it runs between fork and the validator.
"""

import ctypes
import math
import os
import platform
import resource
import signal
import struct
import sys
from pathlib import Path
from typing import Final

from luna_serving.capabilities.datasets.validation.sandbox.limits import Limits

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2
_CLONE_NEWUSER: Final = 0x1000_0000
_CLONE_NEWNET: Final = 0x4000_0000

# linux/audit.h: the architecture of a system call; and the calls' numbers there: socket, connect, bind, listen,
# accept, accept4, sendto, execve, execveat, ptrace, process_vm_readv, process_vm_writev, kill, io_uring_setup,
# bpf, userfaultfd, keyctl, mount. io_uring opens sockets without socket(2).
_ARCHITECTURES: Final = {
    "x86_64": (0xC000_003E, (41, 42, 49, 50, 43, 288, 44, 59, 322, 101, 310, 311, 62, 425, 321, 323, 250, 165)),
    "aarch64": (0xC000_00B7, (198, 203, 200, 201, 202, 242, 206, 221, 281, 117, 270, 271, 129, 425, 280, 282, 219, 40)),
}
_X32: Final = 0x4000_0000
_ALLOW: Final = 0x7FFF_0000
_EPERM: Final = 0x0005_0001
_LOAD, _EQUAL, _AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06


class Unavailable(Exception):
    """The system lacks a means of isolation; the message says which and why."""


def die_with_parent(parent: int) -> None:
    """Ask for SIGKILL when the thread that started this process ends; leave if `parent` is gone already."""
    if sys.platform == "linux":
        _libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def leave_network() -> None:
    """Move this process, which has one thread, into a network of its own that has no devices.

    Raises:
        Unavailable: neither the process nor a new user namespace may do that.
    """
    if sys.platform != "linux":
        raise Unavailable("network namespaces exist on Linux only")
    libc = _libc()
    if libc.unshare(_CLONE_NEWNET) and libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET):
        raise Unavailable(f"unshare: {os.strerror(ctypes.get_errno())}")


def forbid_calls() -> None:
    """Refuse the system calls that reach the network, other processes or other programs, for good (seccomp).

    Raises:
        Unavailable: the kernel or the architecture has no such filter.
    """
    known = _ARCHITECTURES.get(platform.machine()) if sys.platform == "linux" else None
    if known is None:
        raise Unavailable(f"no filter of system calls for {sys.platform} on {platform.machine()}")
    architecture, numbers = known
    refuse = len(numbers) + 3
    program = [
        (_LOAD, 0, 0, 4),  # seccomp_data.arch
        (_EQUAL, 0, refuse, architecture),
        (_LOAD, 0, 0, 0),  # seccomp_data.nr
        (_AT_LEAST, refuse - 2, 0, _X32),
        *((_EQUAL, refuse - 3 - i, 0, number) for i, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _EPERM),
    ]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in program))
    header = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc = _libc()
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) or libc.prctl(
        _PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.c_void_p(ctypes.addressof(header)), 0, 0
    ):
        raise Unavailable(f"seccomp: {os.strerror(ctypes.get_errno())}")


def limit(limits: Limits) -> None:
    """Set the limits of this process. A memory limit counts from what is mapped now."""
    mapped = _mapped()
    if mapped is not None:
        _set(resource.RLIMIT_AS, mapped + limits.memory_bytes)
    cpu = math.ceil(sum(os.times()[:2]) + limits.cpu_s)
    # One second from SIGXCPU, which tells what happened, to SIGKILL.
    _set(resource.RLIMIT_CPU, cpu, cpu + 1)
    _set(resource.RLIMIT_FSIZE, limits.file_bytes)
    _set(resource.RLIMIT_NOFILE, limits.open_files)
    _set(resource.RLIMIT_CORE, 0)


def _set(which: int, soft: int, hard: int | None = None) -> None:
    most: float = resource.getrlimit(which)[1]
    if most == resource.RLIM_INFINITY:
        most = math.inf
    resource.setrlimit(which, (int(min(soft, most)), int(min(soft if hard is None else hard, most))))


def _mapped() -> int | None:
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[0])
    except OSError:
        return None
    return pages * resource.getpagesize()


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
