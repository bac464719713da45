"""`luna jobs` against a running Luna, as a user runs it."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from tests.jobs.http.jobs import SIMULATION, created, ended, finished, fit, simulation

if TYPE_CHECKING:
    from pathlib import Path

    from tests.serving.platform import Caller, Platform


@dataclass
class Ran:
    status: int
    out: str
    err: str


def environment(caller: Caller | None) -> dict[str, str]:
    given = {n: v for n, v in os.environ.items() if not n.startswith("LUNA_")}
    if caller is not None:
        given |= {"LUNA_URL": caller.base_url, "LUNA_API_KEY": caller.key.secret}
    return given


async def luna(caller: Caller | None, *arguments: str, typed: str = "", folder: Path | None = None) -> Ran:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "luna_serving.cli",
        "jobs",
        *arguments,
        cwd=folder,
        env=environment(caller),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(typed.encode()), 90)
    return Ran(process.returncode or 0, out.decode(), err.decode())


async def test_a_job_is_submitted_and_watched_to_its_end(platform: Platform, tmp_path: Path) -> None:
    caller = await platform.caller()
    (tmp_path / "fit.json").write_text(json.dumps(fit(3)["parameters"]))
    submit = ("submit", "kalman/fit", str(tmp_path / "fit.json"))
    cost = await luna(caller, *submit, "--validate-only")
    assert (cost.status, cost.out.startswith("3 units (series 3")) == (0, True)
    ran = await luna(caller, *submit, "--label", "desk=fx", "--priority", "5", "--watch")
    assert ran.status == 0, ran.err
    assert "succeeded: 3/3 series, 3 of 3 units." in ran.out
    assert ran.err.splitlines()[-1] == "succeeded 3/3 series"
    listed = await luna(caller, "list", "--label", "desk=fx", "--status", "succeeded", "--json")
    (job,) = json.loads(listed.out)
    assert (job["priority"], job["kind"]) == (5, "kalman/fit")
    assert job["id"] in (await luna(caller, "list", "--kind", "kalman/fit")).out
    assert (await luna(caller, "list", "--kind", "other")).out == "No jobs.\n"


async def test_parameters_come_from_standard_input_and_a_key_creates_once(platform: Platform) -> None:
    caller = await platform.caller()
    submit = ("submit", "kalman/simulate", "-", "--idempotency-key", "a", "--json")
    first, second = [await luna(caller, *submit, typed=json.dumps(SIMULATION)) for _ in range(2)]
    assert json.loads(first.out)["id"] == json.loads(second.out)["id"]
    watched = await luna(caller, "watch", json.loads(first.out)["id"], "--json")
    assert json.loads(watched.out)["result"]["seed"] == 7


async def test_a_cancelled_job_has_a_status_of_its_own_and_is_done_again(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await created(client, fit(1000))
        watching = asyncio.create_task(luna(caller, "watch", job["id"]))
        await asyncio.sleep(1)
        cancelled = await luna(caller, "cancel", job["id"])
        assert (cancelled.status, job["id"] in cancelled.out) == (0, True)
        ran = await watching
        assert (ran.status, "cancelled" in ran.out) == (4, True)
        again = await luna(caller, "retry", job["id"], "--json")
        assert json.loads(again.out)["attempt"] >= 1
        await luna(caller, "cancel", job["id"])
        await ended(client, job["id"])


async def test_a_terminal_gets_a_progress_bar(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await finished(client, simulation())
    master, terminal = pty.openpty()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "luna_serving.cli", "jobs", "watch", job["id"]),
        env=environment(caller) | {"TERM": "xterm", "COLUMNS": "100"},
        stdout=asyncio.subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    out, _ = await asyncio.wait_for(process.communicate(), 60)
    shown = os.read(master, 1 << 16).decode()
    os.close(master)
    assert process.returncode == 0
    assert "━" in shown
    assert "1/1" in shown
    assert b"succeeded" in out


async def test_an_interrupted_watch_leaves_the_job_alone(platform: Platform) -> None:
    caller = await platform.caller()
    async with caller.client() as client:
        job = await created(client, fit(1000))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "luna_serving.cli", "jobs", "watch", job["id"]),
            env=environment(caller),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stderr is not None
        await asyncio.wait_for(process.stderr.readline(), 60)
        process.send_signal(signal.SIGINT)
        _, err = await asyncio.wait_for(process.communicate(), 60)
        assert process.returncode == 130
        assert f"luna jobs cancel {job['id']}" in err.decode()
        assert (await client.get(f"/jobs/{job['id']}")).json()["status"] in {"queued", "running"}
        await client.delete(f"/jobs/{job['id']}")


async def test_the_data_folder_of_luna_up_names_url_and_key(platform: Platform, tmp_path: Path) -> None:
    caller = await platform.caller()
    (tmp_path / ".luna").mkdir()
    (tmp_path / ".luna" / "env").write_text(f"LUNA_URL={caller.base_url}\nLUNA_API_KEY={caller.key.secret}\n")
    assert (await luna(None, "list", folder=tmp_path)).out == "No jobs.\n"


@pytest.mark.parametrize(
    ("arguments", "typed", "said"),
    [
        (("submit", "kalman/fit", "-"), "[]", "must be a JSON object"),
        (("submit", "kalman/fit", "-"), "{", "are not JSON"),
        (("submit", "kalman/fit", "missing.json"), "", "cannot be read"),
        (("submit", "other", "-"), "{}", "/kind: Is no kind of job."),
        (("submit", "kalman/simulate", "-"), "{}", "/parameters/model: Field required."),
        (("watch", "00000000-0000-0000-0000-000000000000"), "", "There is no job"),
        (("cancel", "mine"), "", "/path/job_id"),
    ],
)
async def test_what_is_wrong_is_said_with_its_cure(
    platform: Platform, tmp_path: Path, arguments: tuple[str, ...], typed: str, said: str
) -> None:
    ran = await luna(await platform.caller(), *arguments, typed=typed, folder=tmp_path)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("luna: ")
    assert said in ran.err


async def test_without_a_luna_the_command_says_what_is_missing(tmp_path: Path) -> None:
    ran = await luna(None, "list", folder=tmp_path)
    assert (ran.status, "LUNA_API_KEY is not set" in ran.err) == (1, True)
