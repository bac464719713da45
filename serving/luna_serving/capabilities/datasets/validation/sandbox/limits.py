"""What a child may use, and how it ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one run of a validator."""

    memory_bytes: int = 320 << 20
    """Address space beyond what the interpreter and its libraries take (about 100 MB resident)."""
    cpu_s: float = 300
    wall_s: float = 600
    file_bytes: int = 0
    """The largest file that it may write; 0: it may write none."""
    open_files: int = 64
    output_bytes: int = 32 << 20
    """Of all JSON lines together."""
    line_bytes: int = 24 << 20
    """Of one JSON line. The last one holds what is known of each series or image."""


class Ending(StrEnum):
    """How a run ended."""

    FINISHED = "finished"
    MEMORY = "memory"
    CPU = "cpu"
    WALL_CLOCK = "wall-clock"
    OUTPUT = "output"
    CRASHED = "crashed"
    """By a signal, or without a result."""
    RAISED = "raised"
    """By a Python exception that the validator did not expect."""
    REFUSED = "refused"
    """The system did not allow the run to begin: our side."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The end of a run."""

    ending: Ending
    result: Mapping[str, Any] = field(default_factory=dict)
    """What the validator returned."""
    detail: str = ""
    """A sentence about the ending; empty if it finished."""
    peak_bytes: int = 0
    """Greatest resident memory of the child."""
    cpu_s: float = 0.0
    wall_s: float = 0.0

    @property
    def finished(self) -> bool:
        """Whether the validator came to its end."""
        return self.ending is Ending.FINISHED
