"""Before the first replica of a host has started, calls are refused at once; Serve alone would let them wait."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.dispatch.late_replica import FIRST_REPLICA_S, REFUSALS

ROOT = Path(__file__).parents[2]


@pytest.mark.timeout(300)
def test_calls_before_the_first_replica_are_refused_and_those_after_it_answered(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    sign, answers = tmp_path / "sign", tmp_path / "answers.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.dispatch.late_replica", str(sign), str(answers)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(answers.read_text())
    assert found["answers"] == [7]
    assert len(found["refused_after_s"]) >= REFUSALS
    assert max(found["refused_after_s"]) < FIRST_REPLICA_S + 3
