"""Prometheus' own engine as an oracle: a Go test binary, built from `oracle/` where Go is installed."""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).with_name("oracle")


@dataclass(frozen=True, slots=True)
class Oracle:
    """The built binary.

    Attributes:
        binary: of `go test -c`.
        work: a folder for requests and answers.
    """

    binary: Path
    work: Path

    @classmethod
    def build(cls, work: Path) -> "Oracle":
        """Downloads and compiles Prometheus' packages: minutes the first time, seconds once Go has cached them."""
        for source in SOURCES.iterdir():
            shutil.copy(source, work)
        environment = os.environ | {"GOFLAGS": "-mod=mod"}
        subprocess.run(["go", "test", "-c", "-o", "oracle", "."], cwd=work, env=environment, check=True, timeout=1_800)
        return cls(work / "oracle", work)

    def check_scripts(self, pattern: str) -> str:
        """Runs the scripts that the glob names; what fails, or an empty text."""
        run = self._run("TestScripts", ORACLE_SCRIPTS=pattern)
        return run.stdout if run.returncode else ""

    def answers(self, requests: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        """The answers to the queries of each request; the fields are those of the types in `oracle_test.go`."""
        asked, answered = self.work / "requests.jsonl", self.work / "answers.jsonl"
        asked.write_text("".join(json.dumps(request) + "\n" for request in requests))
        run = self._run("TestAnswers", ORACLE_REQUESTS=str(asked), ORACLE_ANSWERS=str(answered))
        if run.returncode:
            raise RuntimeError(run.stdout + run.stderr)
        return [json.loads(line) for line in answered.read_text().splitlines()]

    def _run(self, test: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [str(self.binary), "-test.run", test]
        return subprocess.run(
            command, cwd=self.work, env=os.environ | environment, capture_output=True, text=True, check=False
        )
