"""The load test of uploads: what k6 is given, and what is read from its output."""

import hashlib
import json
import shutil
import subprocess
from pathlib import Path

import pytest
from benchmarks.uploads.making import makings
from benchmarks.uploads.teams import Team
from benchmarks.uploads.with_k6 import SCRIPT, outcomes_of, write_teams


def point(metric: str, value: float, **tags: str) -> str:
    return json.dumps(
        {"type": "Point", "metric": metric, "data": {"time": "now", "value": value, "tags": tags or None}}
    )


def test_k6_gets_every_file_of_every_team_with_its_digest(tmp_path: Path) -> None:
    files = makings(4, 2, 64, 50)
    teams = [Team("http://luna", i, f"{i}@test", "secret", each) for i, each in enumerate(files)]
    write_teams(teams, tmp_path)
    written = json.loads((tmp_path / "teams.json").read_text())
    assert [team["account_id"] for team in written] == [0, 1, 2, 3]
    for team, making in zip(written, files, strict=True):
        assert [each["verdict"] for each in team["sets"]] == [each.verdict for each in making.sets]
        for each, made in zip(team["sets"], making.sets, strict=True):
            assert [file["path"] for file in each["files"]] == list(made.files)
            for file in each["files"]:
                body = (tmp_path / file["place"]).read_bytes()
                assert (len(body), hashlib.sha256(body).hexdigest()) == (file["bytes"], file["sha256"])


def test_what_k6_saw_is_counted_by_team() -> None:
    lines = [
        json.dumps({"type": "Metric", "metric": "http_reqs", "data": {}}),
        point("http_reqs", 1, team="1", api="luna", status="201"),
        point("http_reqs", 1, team="1", api="store", status="200"),
        point("http_reqs", 1, team="2", api="luna", status="503"),
        point("verdict_seconds", 1.5, team="1", wanted="valid", state="valid"),
        point("reports", 1, team="1"),
        point("sent_bytes", 10, team="1"),
        point("vus", 2),
    ]
    first, second, third = outcomes_of(lines, 3)
    assert (first.statuses, first.verdicts, first.seconds) == ([201], [("valid", "valid")], [1.5])
    assert (first.reports, first.sent_bytes) == (1, 10)
    assert second.statuses == [503]
    assert third.statuses == []


def test_the_script_is_a_module_that_parses(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js")
    module = tmp_path / "teams.mjs"
    shutil.copyfile(SCRIPT, module)
    done = subprocess.run([node, "--check", str(module)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
