"""`luna jobs`: submits, lists, watches, cancels and retries jobs over HTTP."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Self

from luna_serving.commands.errors import CommandFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from luna_serving.commands.calls import Calls

# Exit statuses of a job that was watched to its end.
STATUSES: Final[Mapping[str, int]] = {"succeeded": 0, "failed": 3, "cancelled": 4, "expired": 5}


@dataclass(frozen=True, slots=True)
class Answer:
    """The result of a command. Not that of `commands.stores`, which takes a second to import its clients of stores."""

    facts: Any
    """For `--json`."""
    text: str
    """For people."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A job to submit."""

    kind: str
    parameters: dict[str, Any]
    priority: int | None = None
    deadline: str | None = None
    labels: Mapping[str, str] | None = None
    webhook: str | None = None

    def body(self) -> dict[str, Any]:
        """The body of the POST."""
        named = {name: getattr(self, name) for name in ("priority", "deadline", "labels", "webhook")}
        given = {name: value for name, value in named.items() if value}
        return {"kind": self.kind, "parameters": self.parameters, **given}


class JobCommands:
    """The commands."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def submit(self, wanted: Wanted, key: str | None, *, validate_only: bool) -> Answer:
        """Create a job, or say what it would cost."""
        headers = {"Idempotency-Key": key} if key else {}
        if validate_only:
            cost = self._calls.json("POST", "/jobs/", params={"validate_only": "true"}, json=wanted.body())
            plan = ", ".join(f"{name} {value}" for name, value in cost["plan"].items())
            return Answer(cost, f"{cost['units']} units ({plan})")
        job = self._calls.json("POST", "/jobs/", json=wanted.body(), headers=headers)
        return Answer(job, line(job))

    def list_jobs(self, filters: Sequence[tuple[str, str]], limit: int) -> Answer:
        """List jobs, the newest first."""
        page = self._calls.json("GET", "/jobs/", params=[*filters, ("limit", str(limit))])
        more = ["(more: raise --limit, or filter)"] if page["next_cursor"] else []
        return Answer(page["items"], "\n".join([*map(line, page["items"]), *more]) or "No jobs.")

    def cancel(self, job_id: str) -> Answer:
        """Cancel a job."""
        job = self._calls.json("DELETE", f"/jobs/{job_id}")
        return Answer(job, line(job))

    def retry(self, job_id: str) -> Answer:
        """Have a failed or cancelled job done again."""
        job = self._calls.json("POST", f"/jobs/{job_id}/retry")
        return Answer(job, line(job))

    def watch(self, job_id: str, tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Pass the job on at each change; returns it as it is at its end."""
        for event in self._calls.events(f"/jobs/{job_id}/events"):
            tell(event.data)
            # An earlier attempt's end is no end: the stream goes on.
        job: dict[str, Any] = self._calls.json("GET", f"/jobs/{job_id}")
        return job


def line(job: Mapping[str, Any]) -> str:
    """A job in one line."""
    labels = " ".join(f"{name}={value}" for name, value in job["labels"].items())
    row = f"{job['id']}  {job['status']:<9} {steps(job):<20} {job['created_at'][:19]}Z  {job['kind']:<18} {labels}"
    return row.rstrip()


def steps(job: Mapping[str, Any]) -> str:
    """How far a job is: `12/64 series`."""
    progress = job["progress"]
    return f"{progress['completed']}/{progress['total']} {progress['unit']}"


def ending(job: Mapping[str, Any]) -> str:
    """What became of a job, for people."""
    text = f"{job['id']} {job['status']}: {steps(job)}, {job['units_used']} of {job['units_reserved']} units."
    error = job["error"]
    return text if error is None else f"{text}\n{error['title']} {error.get('detail', '')}".rstrip()


class Lines:
    """Shows progress where there is no terminal: a line per change of status."""

    def __init__(self) -> None:
        self._status = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def tell(self, job: dict[str, Any]) -> None:
        """Show a change."""
        if job["status"] != self._status:
            self._status = job["status"]
            print(f"{job['status']} {steps(job)}", file=sys.stderr, flush=True)  # noqa: T201  a command line


class Bar:
    """Shows progress in a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
        from rich.progress import TimeRemainingColumn as Remaining

        self._progress = Progress(
            TextColumn("{task.description:<9}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeElapsedColumn(),
            Remaining(),
            console=Console(stderr=True),
        )
        self._task = self._progress.add_task("queued", total=None, unit="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def tell(self, job: dict[str, Any]) -> None:
        """Show a change."""
        progress = job["progress"]
        self._progress.update(
            self._task,
            description=job["status"],
            completed=progress["completed"],
            total=progress["total"],
            unit=progress["unit"],
        )


def watcher() -> Bar | Lines:
    """What shows progress here."""
    return Bar() if sys.stderr.isatty() else Lines()


def read_parameters(text: str) -> dict[str, Any]:
    """Parse a file of parameters.

    Raises:
        CommandFailed: it is no JSON object.
    """
    import orjson

    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as e:
        raise CommandFailed(f"The parameters are not JSON: {e}.") from e
    if not isinstance(document, dict):
        raise CommandFailed("The parameters must be a JSON object: the body of the route that the kind names.")
    return document
