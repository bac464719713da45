"""`python -m benchmarks.http.profile FOLDER`: where Luna's ingress and its Kalman replica spend their time under load.

wrk sends calls, while py-spy records who holds the interpreter's lock in each of both processes, one after the other.
Then, where strace is installed, their system calls are counted. py-spy and strace need the right to trace processes:
root, or `kernel.yama.ptrace_scope` 0. Sampling takes a few per cent of the speed, strace most of it: its counts say
something, its times do not.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil

from luna_serving.local.data_folder.errors import LocalServerError

from .folded import fold
from .series import make_load
from .servers import Server, WrongAnswerError, luna, verify
from .wrk import INSTALL_WRK, Slice, WrkFailedError, measure, wrk_program

# The deployments of `luna up`, as Serve titles their processes (`ray::ServeReplica:luna:ingress`): all capabilities
# share the host `compute`.
DEPLOYMENTS = {"ingress": ("ingress",), "kalman": ("kalman", "compute")}
TOP = 25
WARM_UP_S = 3
# The load begins before a tool attaches, and ends after it has written its file.
AROUND_S = 6
END_S = 30.0


class ToolFailedError(RuntimeError):
    """A tool ended with an error; its own words follow."""


def replicas(pid: int) -> dict[str, int]:
    """Return the process ids of the replicas below a process, by what they are called here; of several the busiest.

    Raises:
        ToolFailedError: one of them is not there.
    """
    found: dict[str, tuple[float, int]] = {}
    for process in psutil.Process(pid).children(recursive=True):
        try:
            title, busy = " ".join(process.cmdline()), process.cpu_times().user
        except psutil.Error:
            continue
        for name, deployments in DEPLOYMENTS.items():
            if any(is_replica(title, deployment) for deployment in deployments):
                found[name] = max(found.get(name, (0.0, 0)), (busy, process.pid))
    if missing := DEPLOYMENTS.keys() - found.keys():
        raise ToolFailedError(f"no replica was found of: {', '.join(sorted(missing))}")
    return {name: pid for name, (_, pid) in found.items()}


def is_replica(title: str, deployment: str) -> bool:
    """Whether a process with this title is a replica of a deployment of Luna's; Ray appends the method that runs."""
    replica = f"ray::ServeReplica:luna:{deployment}"
    return bool(title) and title.split(maxsplit=1)[0].split(".", maxsplit=1)[0] == replica


def pyspy_program() -> str | None:
    """The path of py-spy, which Ray's wheel of `luna[serving]` brings; else from PATH."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else shutil.which("py-spy")


@contextmanager
def loaded(server: Server, bodies: Path, connections: int, seconds: int) -> Iterator[list[Slice]]:
    """Keep a load on the server while the block runs; the list has what wrk saw, once the block has ended."""
    seen: list[Slice] = []
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(
            measure, server, bodies, connections=connections, seconds=seconds + AROUND_S, shortest_answer=1
        )
        time.sleep(AROUND_S / 3)
        yield seen
        seen.append(running.result())


def record(program: str, pid: int, seconds: int, file: Path) -> None:
    """Sample who holds the interpreter's lock into a speedscope file.

    Raises:
        ToolFailedError: py-spy could not.
    """
    command = [program, "record", "--gil", "--pid", str(pid), "--duration", str(seconds)]
    command += ["--rate", "250", "--format", "speedscope", "--output", str(file)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0 or not file.exists():
        raise ToolFailedError(f"py-spy ended with status {run.returncode}: {run.stderr.strip()[-500:]}")


def count_calls(program: str, pid: int, seconds: int, file: Path) -> None:
    """Count the system calls of all threads into a file.

    Raises:
        ToolFailedError: strace could not.
    """
    command = [program, "-c", "-f", "-p", str(pid), "-o", str(file)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as tracing:
        try:
            time.sleep(seconds)
        finally:
            # It detaches, and writes what it has counted.
            tracing.send_signal(signal.SIGINT)
            try:
                _, errors = tracing.communicate(timeout=END_S)
            except subprocess.TimeoutExpired:
                tracing.kill()
                _, errors = tracing.communicate()
    if not file.exists() or not file.stat().st_size:
        raise ToolFailedError(f"strace ended with status {tracing.returncode}: {errors.strip()[-500:]}")


def profile(options: argparse.Namespace, pyspy: str) -> None:
    """Start Luna, load it, and record both processes."""
    folder: Path = options.folder
    folder.mkdir(parents=True, exist_ok=True)
    strace = shutil.which("strace")
    if strace is None:
        print("strace is not installed: system calls are not counted (apt-get install strace)", file=sys.stderr)
    load = make_load(options.points)
    with tempfile.TemporaryDirectory(prefix="luna-bench-") as work, luna(Path(work)) as server:
        shortest = verify(server, load)
        bodies = load.write(Path(work) / "bodies")
        measure(server, bodies, connections=options.connections, seconds=WARM_UP_S, shortest_answer=shortest)
        for name, pid in replicas(psutil.Process().pid).items():
            file = folder / f"{name}.speedscope.json"
            with loaded(server, bodies, options.connections, options.seconds) as seen:
                record(pyspy, pid, options.seconds, file)
            folded = fold(file)
            page = (
                f"# {name}: who holds the interpreter's lock\n\n"
                f"{options.points} points, {options.connections} connections, "
                f"{seen[0].requests_per_s:.0f} requests/s while it was recorded.\n\n{folded.tables(TOP)}"
            )
            (folder / f"{name}.md").write_text(page)
            print(page)
            if strace is not None:
                counts = folder / f"{name}.strace.txt"
                with loaded(server, bodies, options.connections, options.seconds) as seen:
                    count_calls(strace, pid, options.seconds, counts)
                print(f"{counts}: system calls at {seen[0].requests_per_s:.0f} requests/s")
    print(f"{folder}: open *.speedscope.json at https://www.speedscope.app")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; return 1 if a tool failed, 2 if one is missing."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.http.profile",
        description="Record where Luna's ingress and its Kalman replica spend their time under load.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("folder", type=Path, help="where the recordings and tables go")
    parser.add_argument("--seconds", type=int, default=20, help="of each recording")
    parser.add_argument("--points", type=int, default=200)
    parser.add_argument("--connections", type=int, default=32)
    options = parser.parse_args(arguments)
    pyspy = pyspy_program()
    if wrk_program() is None or pyspy is None:
        print(INSTALL_WRK if pyspy else "py-spy is missing: pip install py-spy", file=sys.stderr)
        return 2
    try:
        profile(options, pyspy)
    except (LocalServerError, ToolFailedError, WrkFailedError, WrongAnswerError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
