"""The same teams, played by k6: writes what `teams.js` reads, runs it, and reads what happened from its output."""

import json
import subprocess
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Any

from .making import UploadSet
from .teams import Outcome, Team

SCRIPT = Path(__file__).with_name("teams.js")


def run_with_k6(program: str, teams: Sequence[Team], folder: Path) -> list[Outcome]:
    """Run all teams at once, each as a virtual user.

    Args:
        program: k6.
        teams: whose accounts and users exist.
        folder: where their files are written.
    """
    write_teams(teams, folder)
    points = folder / "points.json"
    options = ("--quiet", "--out", f"json={points}", "-e", f"FOLDER={folder}", "-e", f"ORIGIN={teams[0].origin}")
    # Not check=True: a threshold that is crossed is a status of 99, and is counted here, too.
    subprocess.run([program, "run", *options, str(SCRIPT)], check=False)
    with points.open() as lines:
        return outcomes_of(lines, len(teams))


def write_teams(teams: Sequence[Team], folder: Path) -> None:
    """Write `teams.json` and the files that it names."""
    (folder / "teams.json").write_text(
        json.dumps(
            [
                {
                    "account_id": team.account_id,
                    "email": team.email,
                    "password": team.password,
                    "cut_off": team.making.cut_off,
                    "sets": [_set(each, f"{i}/{j}", folder) for j, each in enumerate(team.making.sets)],
                }
                for i, team in enumerate(teams)
            ]
        )
    )


def _set(each: UploadSet, under: str, folder: Path) -> dict[str, Any]:
    files = []
    for number, (path, (body, media_type)) in enumerate(each.files.items()):
        place = f"{under}/{number}"
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(body)
        digest = sha256(body).hexdigest()
        files.append({"path": path, "bytes": len(body), "sha256": digest, "media_type": media_type, "place": place})
    return {"body": asdict(each)["body"], "verdict": each.verdict, "files": files}


def outcomes_of(lines: Iterable[str], teams: int) -> list[Outcome]:
    """What happened to each team, from the points of k6's JSON output; teams without a point are among them."""
    found: dict[str, Outcome] = defaultdict(Outcome)
    for line in lines:
        point = json.loads(line)
        if point["type"] != "Point":
            continue
        tags, value = point["data"]["tags"] or {}, point["data"]["value"]
        outcome = found[tags.get("team", "")]
        match point["metric"]:
            case "http_reqs" if tags.get("api") == "luna":
                outcome.statuses.append(int(tags["status"]))
            case "verdict_seconds":
                outcome.verdicts.append((tags["wanted"], tags["state"]))
                outcome.seconds.append(value)
            case "reports":
                outcome.reports += int(value)
            case "sent_bytes":
                outcome.sent_bytes += int(value)
    known = [outcome for team, outcome in found.items() if team]
    return known + [Outcome() for _ in range(teams - len(known))]
