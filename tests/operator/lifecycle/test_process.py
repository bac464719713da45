"""`luna-operator` as a process: refuses to start with a message, answers probes, ends on SIGTERM, logs JSON."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from tests.operator.operating import HOST, URL, eventually
from tests.operator.resilience.forked import ForkedOperator, ForkedProcess

from luna_serving.local.data_folder.ports import LOOPBACK, free_port
from luna_store.platform.schema import migrate

if TYPE_CHECKING:
    from tests.operator.lifecycle.conftest import Make
    from tests.operator.lifecycle.installation import Installation

FULL_KEY = re.compile(r"luna_[0-9A-Za-z]{8}_[0-9A-Za-z]{38}")
# Kubernetes would send SIGKILL after 30 s.
SECONDS_TO_END = 5


@pytest.fixture
def environment(installation: Installation, tmp_path: Path) -> dict[str, str]:
    """All that the operator needs, and nothing that this machine has besides."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "HOME": str(tmp_path),
        "KUBECONFIG": str(installation.around.kubeconfig),
        "DATABASE_URL": installation.luna.database_url,
        "REDIS_URL": installation.luna.redis_url,
        "LUNA_PEPPERS": installation.luna.peppers,
        "LUNA_OPERATOR_PUBLIC_URL": URL,
        "LUNA_OPERATOR_HOST": HOST,
        "LUNA_OPERATOR_HEALTH_PORT": str(free_port()),
        "LUNA_OPERATOR_METRICS_PORT": str(free_port()),
    }


def message(environment: dict[str, str], folder: Path) -> str:
    """Run the operator, which is to end by itself with status 1, and return the one thing that it says to people."""
    log = folder / "said"
    process = ForkedProcess(environment, log)
    try:
        status = eventually(process.poll)
    finally:
        process.stop()
    return only_message(status, log.read_text())


def only_message(status: int, said: str) -> str:
    assert status == 1, said
    assert "Traceback" not in said, said
    [told] = [line for line in said.splitlines() if line.startswith("luna-operator: ")]
    return told


def test_without_an_api_server_the_command_ends_with_status_1_and_names_the_variable(
    environment: dict[str, str],
) -> None:
    # Not forked: where it is not set, the client's default was read when it was imported.
    del environment["KUBECONFIG"]
    command = Path(sys.executable).with_name("luna-operator")
    run = subprocess.run([command], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert "KUBECONFIG" in only_message(run.returncode, run.stderr)
    assert run.stdout == ""


@pytest.mark.parametrize(
    "names",
    [
        ("DATABASE_URL",),
        ("REDIS_URL",),
        ("LUNA_PEPPERS",),
        ("DATABASE_URL", "REDIS_URL"),
        ("LUNA_OPERATOR_PUBLIC_URL",),
    ],
    ids="-".join,
)
def test_without_what_it_needs_it_does_not_start_and_names_each_variable(
    environment: dict[str, str], names: tuple[str, ...], tmp_path: Path
) -> None:
    for name in names:
        del environment[name]
    told = message(environment, tmp_path)
    assert [name for name in names if name in told] == list(names)


@pytest.mark.parametrize(
    "wrong",
    [
        {"LUNA_PEPPERS": "short"},
        {"LUNA_OPERATOR_SWEEP_S": "0", "LUNA_OPERATOR_PUBLIC_URL": "luna"},
        {"DATABASE_URL": f"postgresql://luna:hunter2@{LOOPBACK}:1/luna"},
        {"KUBECONFIG": "/nonexistent/config"},
    ],
    ids="-".join,
)
def test_with_a_wrong_value_it_does_not_start_and_names_the_variable(
    environment: dict[str, str], wrong: dict[str, str], tmp_path: Path
) -> None:
    told = message(environment | wrong, tmp_path)
    assert [name for name in wrong if name in told] == list(wrong)
    assert "hunter2" not in told


def test_a_pepper_that_keys_were_made_under_may_not_be_left_out(
    make: Make, environment: dict[str, str], tmp_path: Path
) -> None:
    team = make().ready()
    key = team.key
    said = message({**environment, "LUNA_PEPPERS": "another:0123456789abcdef0123456789abcdef"}, tmp_path)
    name = environment["LUNA_PEPPERS"].partition(":")[0]
    assert f"LUNA_PEPPERS does not hold {name}" in said
    assert "LUNA_OPERATOR_REISSUE_UNKNOWN_KEYS" in said
    assert team.key == key


@pytest.mark.parametrize(("revision", "found"), [("0003", "0003"), (None, "none")])
def test_an_older_schema_is_refused_with_the_command_that_brings_the_new_one(
    environment: dict[str, str], fresh_database: str, revision: str | None, found: str, tmp_path: Path
) -> None:
    if revision:
        migrate(fresh_database, revision)
    told = message(environment | {"DATABASE_URL": fresh_database}, tmp_path)
    assert f"is at revision {found}, this release needs " in told
    assert "luna migrate" in told


def test_a_second_replica_stands_by_ready_and_ends_in_seconds_on_sigterm(
    installation: Installation, tmp_path: Path
) -> None:
    with ForkedOperator(installation.around, tmp_path).wait_ready() as standby:
        assert standby.metric("luna_operator_leader") == 0
        assert installation.operator.metric("luna_operator_leader") == 1
        began = time.monotonic()
        assert standby.stop() == 0
    assert time.monotonic() - began < SECONDS_TO_END
    assert "Traceback" not in standby.log.read_text()


def test_the_leader_ends_in_seconds_on_sigterm_and_another_takes_over(installation: Installation, make: Make) -> None:
    team = make().ready()
    began = time.monotonic()
    installation.stop()
    ended_in = time.monotonic() - began
    installation.start(ForkedOperator)
    assert ended_in < SECONDS_TO_END
    team.patch({"quota": {"limit": 1}}).ready()


def test_probes_and_metrics_answer_on_their_ports(installation: Installation) -> None:
    operator = installation.operator
    health = f"http://{HOST}:{operator.health_port}"
    metrics = f"http://{HOST}:{operator.metrics_port}"
    alive = httpx.get(f"{health}/healthz")
    assert alive.status_code == 200
    assert alive.json()["loops"].keys() >= {"leadership", "sweep", "usage"}
    ready = httpx.get(f"{metrics}/readyz")
    assert (ready.status_code, ready.text) == (200, "ok\n")
    text = httpx.get(f"{metrics}/metrics")
    assert text.headers["content-type"].startswith("text/plain")
    accept = {"Accept": "application/openmetrics-text"}
    assert httpx.get(f"{metrics}/metrics", headers=accept).text.endswith("# EOF\n")
    assert httpx.get(f"{metrics}/").status_code == 404
    # Kubernetes asks every few seconds.
    assert "aiohttp.access" not in installation.log.read_text()


def test_every_line_of_the_log_is_one_json_object_and_none_holds_a_secret(
    installation: Installation, make: Make
) -> None:
    team = make({"apiKey": {"rotationOverlap": "1h"}}).ready()
    keys = [team.key]
    team.patch({"apiKey": {"rotationRequestedAt": "2026-11-21T09:00:00Z"}}).ready()
    keys.append(team.key)
    with installation.without_right_to("secrets"):
        team.patch({"apiKey": {"rotationRequestedAt": "2026-11-21T09:00:01Z"}})
        eventually(lambda: f"{team.namespace}/acme: again in" in installation.log.read_text())
    team.ready()
    keys.append(team.key)
    lines = installation.log.read_text().splitlines()
    assert len(lines) > 3
    for line in lines:
        entry: dict[str, Any] = json.loads(line)
        assert entry.keys() - {"exception"} == {"time", "level", "logger", "message"}
    text = "\n".join(lines)
    secrets = [*keys, installation.luna.peppers.partition(":")[2], *passwords(installation)]
    assert [secret for secret in secrets if secret in text] == []
    assert FULL_KEY.findall(text) == []
    assert all(FULL_KEY.fullmatch(key) for key in keys), "the pattern is that of our keys"


def passwords(installation: Installation) -> list[str]:
    """Those in the stores' addresses, and the token for the API server."""
    addresses = (installation.luna.database_url, installation.luna.redis_url)
    found = [password for address in addresses if (password := httpx.URL(address).password)]
    config = json.loads(installation.around.kubeconfig.read_text())
    return [*found, config["users"][0]["user"]["token"]]
