"""All logs of a running `luna up`."""

from collections.abc import Iterator
from pathlib import Path

from tests.threats.running import LocalLuna


def logs(luna: LocalLuna) -> Iterator[Path]:
    """Files: what it prints, its own logs, those of Ray, Serve and HAProxy."""
    yield luna.log
    folders = [luna.folder / "logs", luna.run_folder / "ray" / "session_latest" / "logs", luna.run_folder / "ha"]
    for folder in folders:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and file.suffix in {".log", ".err", ".out", ".txt", ".json", ".event"}:
                yield file


def lines_of(file: Path) -> list[str]:
    # By "\n" alone: what else ends a line for Python ends none for a collector.
    return file.read_bytes().decode("utf-8", "replace").split("\n")


def own_logs(luna: LocalLuna) -> list[Path]:
    """The files with lines of Luna's own code: standard error of Serve's replicas, and of settlement."""
    workers = luna.run_folder / "ray" / "session_latest" / "logs"
    return [*sorted(workers.glob("worker-*.err")), luna.folder / "logs" / "settlement.log"]
