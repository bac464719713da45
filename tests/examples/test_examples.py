"""Every file of examples/ runs unchanged against a running Luna."""

import asyncio
import csv
import importlib.util
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tests.examples.running import EXAMPLES, run, variables
from tests.serving.people import PASSWORD, People
from tests.serving.platform import Platform

# Not calls by themselves: the Python examples import them.
IMPORTED = {"connection.py", "chart.py"}
TESTED = {
    "metrics.sh",
    "metrics.py",
    "alerts.sh",
    "alerts.py",
    "kalman.sh",
    "kalman.py",
    "account.sh",
    "account.py",
    "people.sh",
    "people.py",
    "stream.py",
    "live.html",
    "jobs.sh",
    "jobs.py",
    "datasets.sh",
    "datasets.py",
    "market.sh",
    "market.py",
    "indicators.sh",
    "indicators.py",
    "montecarlo.sh",
    "montecarlo.py",
    "markowitz.sh",
    "markowitz.py",
    "blackscholes.sh",
    "blackscholes.py",
}


def test_no_example_is_left_out() -> None:
    assert {each.name for each in EXAMPLES.iterdir() if each.is_file()} == TESTED | IMPORTED


@pytest.mark.parametrize("name", sorted(TESTED))
def test_the_readme_names_every_example(name: str) -> None:
    assert f"(examples/{name})" in (EXAMPLES.parent / "README.md").read_text()


@pytest.mark.parametrize("name", ["kalman.py", "account.py", "kalman.sh"])
async def test_an_example_finds_a_running_luna_by_its_file(platform: Platform, tmp_path: Path, name: str) -> None:
    caller = await platform.caller()
    (tmp_path / ".luna").mkdir()
    (tmp_path / ".luna" / "env").write_text("".join(f"{n}={v}\n" for n, v in variables(caller).items()))
    assert (await run(name, env={}, folder=tmp_path)).output


async def test_without_a_luna_an_example_says_what_is_missing(tmp_path: Path) -> None:
    ran = await run("account.py", env={"LUNA_URL": "http://127.0.0.1:1"}, folder=tmp_path, status=1)
    assert ran.errors.startswith("Set LUNA_ACCOUNT_ID, LUNA_API_KEY, ")


async def test_kalman_sh_filters_forecasts_and_stores_a_model(platform: Platform) -> None:
    caller = await platform.caller()
    filtered, forecast, stored, named = (await run("kalman.sh", env=variables(caller))).output.splitlines()
    assert len(json.loads(filtered)["processed_results"]) == 5
    assert [len(each["mean"]) for each in json.loads(forecast)["results"]] == [3, 3]
    assert json.loads(stored)["version"] == 1
    assert "loglike" in json.loads(named)["results"][0]
    assert platform.used(caller.id) == 1 + 2 + 1


@pytest.mark.parametrize("name", ["people.sh", "people.py"])
async def test_a_person_signs_in_and_out(platform: Platform, people: People, name: str) -> None:
    caller = await platform.caller()
    user = await people.member(caller.id)
    ran = await run(name, env={"LUNA_URL": platform.url, "LUNA_EMAIL": user.email, "LUNA_PASSWORD": PASSWORD})
    if name.endswith(".sh"):
        assert json.loads(ran.output.splitlines()[0])["email"] == user.email
    else:
        assert ran.errors == f"{user.email} has the role member in account {caller.id}\n"
        assert len(json.loads(ran.output)["processed_results"]) == 4
        assert platform.used(caller.id) == 1


async def test_kalman_py_prints_the_published_forecast(platform: Platform, tmp_path: Path) -> None:
    caller, chart = await platform.caller(), tmp_path / "nile.svg"
    lines = (await run("kalman.py", str(chart), env=variables(caller))).output.splitlines()
    rows = [line.split() for line in lines[1:11]]
    assert [int(row[0]) for row in rows] == [*range(1971, 1981)]
    # Durbin & Koopman 2012, section 2.11: the level's forecast is its last filtered value.
    assert {row[1] for row in rows} == {"798.4"}
    # The variance of the next observation: P + obs_var + level_var, P = 4032.16.
    assert float(rows[0][3]) - 798.4 == pytest.approx(1.96 * (4032.16 + 15099 + 1469.1) ** 0.5, abs=0.1)
    assert chart.exists() == (importlib.util.find_spec("matplotlib") is not None)


async def test_kalman_py_shows_a_refusal(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=0)
    ran = await run("kalman.py", env=variables(caller), status=1)
    assert ran.errors.startswith("429 The quota does not cover this request.")


async def test_account_sh_shows_the_account_and_its_usage(platform: Platform) -> None:
    caller = await platform.caller()
    await run("kalman.sh", env=variables(caller))
    assert platform.used(caller.id) == 4
    account, *usage = (await run("account.sh", env=variables(caller))).output.splitlines()
    assert json.loads(account)["account_id"] == caller.id
    assert {row["route"]: int(row["units"]) for row in csv.DictReader(usage)}["kalman/forecast"] == 2


async def test_account_py_prints_usage_as_csv_and_the_quota_aside(platform: Platform) -> None:
    caller = await platform.caller(quota_limit=100)
    await run("kalman.sh", env=variables(caller))
    assert platform.used(caller.id) == 4
    ran = await run("account.py", env=variables(caller))
    assert "96 of 100 units left" in ran.errors
    assert sum(int(row["units"]) for row in csv.DictReader(ran.output.splitlines())) == 4


async def test_stream_py_filters_line_by_line(platform: Platform) -> None:
    caller = await platform.caller()
    ran = await run("stream.py", env=variables(caller), typed="1120\n1160\n\n963")
    points = [json.loads(line) for line in ran.output.splitlines()]
    assert len(points) == 4
    assert points[1]["filtered_state"] == pytest.approx([1140.928], rel=1e-4)
    assert platform.used(caller.id) == 4


async def test_stream_py_loses_and_doubles_nothing_when_connections_break(platform: Platform) -> None:
    values = [1120, 1160, 963, 1210, 1160, 1160, 813, 1230]
    typed = "\n".join(map(str, values))
    undisturbed, caller = await platform.caller(), await platform.caller()
    expected = (await run("stream.py", env=variables(undisturbed), typed=typed)).output
    async with breaking(platform.url) as way:
        ran = await run("stream.py", env=variables(caller, way.url), typed=typed)
    assert ran.output == expected
    assert way.connections > 3
    assert platform.used(caller.id) == len(values)


async def test_jobs_sh_follows_a_fit_to_its_result(platform: Platform) -> None:
    caller = await platform.caller()
    *told, result = (await run("jobs.sh", env=variables(caller))).output.splitlines()
    assert (told[0], told[-1]) == ("event: queued", "event: succeeded")
    assert json.loads(result)["results"][0]["converged"] is True
    assert platform.used(caller.id) == 1


async def test_jobs_py_prints_the_estimates_of_each_series_and_the_progress_aside(platform: Platform) -> None:
    caller = await platform.caller()
    ran = await run("jobs.py", "5", env=variables(caller))
    assert len(ran.output.splitlines()) == 5
    assert ran.errors.splitlines()[-1] == "succeeded 5/5 series"
    assert platform.used(caller.id) == 5


@dataclass
class Way:
    """To Luna, over connections that break before their fourth answer arrives."""

    url: str
    connections: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


@asynccontextmanager
async def breaking(url: str) -> AsyncIterator[Way]:
    target = urlsplit(url)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        way.connections += 1
        answers, requests = await asyncio.open_connection(target.hostname, target.port)
        forward = asyncio.create_task(pump(reader, requests))
        way.tasks.add(forward)
        try:
            # The upgrade, `opened` or `resumed`, an answer. The next answer is lost: its points were taken.
            for _ in range(3):
                writer.write(await answers.read(1 << 20))
            await answers.read(1 << 20)
        finally:
            forward.cancel()
            requests.transport.abort()
            writer.transport.abort()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    way = Way(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    async with server:
        yield way


async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    while data := await source.read(1 << 20):
        sink.write(data)
    sink.close()


async def test_datasets_sh_uploads_a_set_and_filters_its_series(platform: Platform) -> None:
    caller = await platform.caller()
    completed, status, filtered = (await run("datasets.sh", env=variables(caller))).output.splitlines()
    assert json.loads(completed)["state"] == "validating"
    assert (json.loads(status)["state"], json.loads(status)["counts"]["error"]) == ("valid", 0)
    assert json.loads(filtered)["dataset"]["name"] == "sales"
    assert platform.used(caller.id) == 1 + 1


async def test_datasets_py_does_so_too_and_a_second_time_finds_the_same_set(platform: Platform) -> None:
    caller = await platform.caller()
    for _ in range(2):
        answer, verdict = (await run("datasets.py", env=variables(caller))).output.splitlines()
        assert len(json.loads(answer)["results"]) == 2
        assert verdict == "sales@1 is valid"
    assert platform.used(caller.id) == 1 + 2 * 2
