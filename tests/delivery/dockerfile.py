"""A Dockerfile as its stages, with what Docker itself would say about each: where files come from, who runs it."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Copy:
    """One COPY: from a stage, or from the build's context."""

    stage: str | None
    sources: tuple[str, ...]
    destination: str


@dataclass
class Stage:
    name: str
    parent: str
    """Another stage's name, or an image."""
    instructions: list[tuple[str, str]] = field(default_factory=list)

    def all(self, keyword: str) -> list[str]:
        return [text for name, text in self.instructions if name == keyword]

    def environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for text in self.all("ENV") for pair in shlex.split(text))

    def copies(self) -> Iterator[Copy]:
        for text in self.all("COPY"):
            words = text.split()
            stage = next((word.removeprefix("--from=") for word in words if word.startswith("--from=")), None)
            *sources, destination = (word for word in words if not word.startswith("--"))
            yield Copy(stage, tuple(sources), destination)


@dataclass
class Dockerfile:
    path: Path
    arguments: list[str]
    """Those before the first FROM."""
    stages: dict[str, Stage]

    @classmethod
    def of(cls, part: str) -> Dockerfile:
        """Read `serving/Dockerfile` or `operator/Dockerfile`."""
        path = ROOT / part / "Dockerfile"
        text = re.sub(r"^\s*#.*\n", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
        arguments: list[str] = []
        stages: dict[str, Stage] = {}
        for line in filter(None, map(str.strip, text.splitlines())):
            keyword, _, rest = line.partition(" ")
            if keyword == "FROM":
                parent, _, name = rest.partition(" AS ")
                stages[name] = Stage(name, parent)
            elif stages:
                list(stages.values())[-1].instructions.append((keyword, " ".join(rest.split())))
            else:
                arguments.append(rest)
        return cls(path, arguments, stages)

    def line_of(self, stage: str) -> list[Stage]:
        """The stage and what it is built on, the stage first."""
        line = []
        while stage in self.stages:
            line.append(self.stages[stage])
            stage = self.stages[stage].parent
        return line

    def last(self, stage: str, keyword: str) -> str:
        """What counts of an instruction of which the last one counts, such as USER."""
        return next(texts[-1] for part in self.line_of(stage) if (texts := part.all(keyword)))

    def environment(self, stage: str) -> dict[str, str]:
        """What ENV has set in a stage and in those it is built on."""
        return {name: value for part in reversed(self.line_of(stage)) for name, value in part.environment().items()}
