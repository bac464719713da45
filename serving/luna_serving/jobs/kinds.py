"""What a kind of job is: how its parameters are checked where a job is created, and how it runs on a worker.

A capability contributes kinds (`Capability.job_kinds`) and, for the ingress, a `Prepare` for each (`Routes.jobs`). A
kind is named after the route whose body its parameters are, without the leading slash: `kalman/fit`.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel

from luna_serving.jobs.background import Background
from luna_serving.jobs.report.of_job import Sections
from luna_serving.wire.problems import FieldError
from luna_store.jobs.ending import Artifact
from luna_store.quota.debits import Grant


def _of_the_parameters(limit: str, most: int) -> FieldError:
    return FieldError("", f"Exceeds the account's limit {limit}, {most}. Send less in one job.")


@dataclass(frozen=True, slots=True)
class JobPlan:
    """A job whose parameters were checked in full."""

    units: int
    """What it costs at most; reserved when it is created, and settled to the work that was done."""
    total: int
    """Steps of its progress."""
    unit: str
    """What a step is, in the plural: `series`, `blocks`."""
    parameters: bytes
    """JSON, complete: what the body names (a stored model, a data set) and draws (a seed) is filled in."""
    plan: Mapping[str, Any] = field(default_factory=dict)
    """What `validate_only` shows of how it will run."""
    grant: Grant | None = None
    amounts: Mapping[str, int] = field(default_factory=dict)
    """Amounts that limits of the account are compared with, by the limit's name."""
    limit_error: Callable[[str, int], FieldError] = _of_the_parameters
    """Where the parameters exceed such a limit."""
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """Seeds, digests of data, versions."""


@dataclass(frozen=True, slots=True)
class Extension:
    """How jobs of a kind that succeeded go on for more of the same work (`POST /jobs/{id}/extend`)."""

    state: str
    """The artifact, kept in the row, that is the checkpoint of the attempt that goes on."""
    plan: Callable[[bytes, bytes, int], JobPlan]
    """The plan of the whole work, whose `units` are those of the addition; from the parameters, the last result and the
    paths to add. Called in a thread. Raises Problem: 422 with pointers into the body, `/paths`."""


Prepare = Callable[[int, bytes], Awaitable[JobPlan]]
"""Checks the parameters of an account's job, which are JSON. Raises Problem: 422 with pointers into the parameters."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What an attempt has made."""

    result: bytes
    """JSON."""
    units: int | None = None
    """Units of the work that was done; None for all that were reserved."""
    artifacts: tuple[Artifact, ...] = ()
    manifest: Mapping[str, Any] = field(default_factory=dict)
    """Members to add to the manifest."""


class JobInvalid(Exception):
    """The caller's input is at fault: the job fails, and is not tried again."""

    def __init__(self, pointer: str, detail: str, *, units: int = 0) -> None:
        """Say why.

        Args:
            pointer: JSON pointer into the parameters.
            detail: what is wrong, and the cure.
            units: units of the work that was done all the same.
        """
        super().__init__(detail)
        self.pointer = pointer
        self.detail = detail
        self.units = units


class Running(Protocol):
    """An attempt at a job, as its kind sees it."""

    @property
    def job_id(self) -> str:
        """The job's id."""

    @property
    def account_id(self) -> int:
        """Whose job it is."""

    @property
    def parameters(self) -> bytes:
        """As `JobPlan.parameters`."""

    @property
    def checkpoint(self) -> bytes | None:
        """What an earlier attempt kept last; None without one."""

    @property
    def limits(self) -> Mapping[str, int]:
        """The account's limits in force, by name."""

    @property
    def stores(self) -> Background:
        """The stores of the worker."""

    async def compute(self, capability: str, jobs: Sequence[Any]) -> Sequence[Any]:
        """Have a replica compute; each answer is a result or a value of `dispatch.outcomes`.

        Raises:
            ReplicaUnavailable: none could take them; a kind lets it pass, and the job is tried again.
        """

    def report(self, completed: int, *, total: int | None = None, estimate: Mapping[str, Any] | None = None) -> None:
        """Set the progress; watchers see it within a second."""

    def keep(self, checkpoint: bytes) -> None:
        """Set where the next attempt goes on; stored within a second."""

    def partial(self, result: bytes, units: int) -> None:
        """Set what a job that is cancelled or expires leaves: a result, and the units of the work that was done."""


Run = Callable[[Running], Awaitable[Finished]]
"""Runs an attempt. It awaits at least every 200 ms, so that a cancel reaches it in time, and blocks in threads only.
Raises JobInvalid; anything else counts as a failure on the server's side, and is tried again."""


@dataclass(frozen=True, slots=True)
class JobKind:
    """A kind of job."""

    name: str
    """The route whose body its parameters are: `kalman/fit`."""
    summary: str
    """One sentence, for the documentation."""
    run: Run
    parameters: type[BaseModel] | None = None
    """The schema of its parameters, for the documentation."""
    sections: Sections | None = None
    """What `report.html` shows of a job of this kind beside its head; None for the head alone."""
    public: bool = True
    """Whether callers may create it; jobs of other kinds are created by routes of their capability."""
