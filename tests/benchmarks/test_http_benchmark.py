"""The parts of the HTTP benchmark that need no server."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from benchmarks.http import __main__ as command
from benchmarks.http import environments, folded, peer_servers, profile, report
from benchmarks.http.environments import Environment, PeerNotInstalledError, environment_name, prepared
from benchmarks.http.original import KalmanFilter
from benchmarks.http.peer_servers import PEERS, bare_ray
from benchmarks.http.peers import local_level
from benchmarks.http.series import RTOL, make_load
from benchmarks.http.servers import Server
from benchmarks.http.wire import BATCH, ORIGINAL, V2, Wire
from benchmarks.http.wrk import Slice

REQUIREMENTS = sorted({peer.requirements for peer in PEERS.values()})


def a_slice(requests_per_s: float, faults: dict[str, int] | None = None) -> Slice:
    return Slice(100, requests_per_s, 1.0, 2.0, 3.0, 4.0, faults or {})


# --- the filter of the peers -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("points", [1, 200, 2000])
def test_the_peers_last_levels_are_the_exact_answers(points: int) -> None:
    load = make_load(points)
    found = local_level.filter_series([json.loads(body)["results"] for body in load.bodies])
    np.testing.assert_allclose([levels[-1] for levels in found], load.last_levels, rtol=RTOL)


def test_the_peers_levels_are_the_originals_at_each_point_with_gaps_and_lengths_of_all_kinds() -> None:
    rng = np.random.default_rng(3)
    batch = [list(rng.normal(100.0, 3.0, length)) for length in (50, 1, 31, 0)]
    complete = local_level.filter_series(batch)
    batch[0][7] = batch[0][0] = batch[2][30] = None
    for series, found in zip([*batch], local_level.filter_series(batch), strict=True):
        np.testing.assert_allclose(found, KalmanFilter().filter(series), rtol=1e-9)
    np.testing.assert_allclose(complete[1], KalmanFilter().filter(batch[1]), rtol=1e-9)


def test_a_series_is_filtered_alike_in_any_batch() -> None:
    series = [1.0, 2.0, 4.0]
    [alone] = local_level.filter_series([series])
    assert local_level.filter_series([[9.0, 8.0, 7.0], series])[1] == alone
    assert local_level.filter_series([]) == []


# --- protocols -------------------------------------------------------------------------------------------------------


def answer_in(wire: Wire, levels: list[float], series: list[float]) -> object:
    if wire is V2:
        outputs = {"processed_results": levels, "input_data": series}
        return {"outputs": [{"name": name, "data": data} for name, data in outputs.items()]}
    plain = {"processed_results": levels, "input_data": series}
    return [plain] if wire is BATCH else plain


@pytest.mark.parametrize("wire", [ORIGINAL, BATCH, V2], ids=["original", "batch", "v2"])
def test_right_answers_of_each_protocol_pass_and_wrong_ones_do_not(wire: Wire) -> None:
    load = make_load(20)
    server = Server("peer", "http://127.0.0.1:1", "/", "", wire)
    series = json.loads(load.bodies[2])["results"]
    [levels] = local_level.filter_series([series])
    assert server.fault(load, 2, answer_in(wire, levels, series)) is None
    assert "reference" in (server.fault(load, 2, answer_in(wire, [*levels[:-1], 0.0], series)) or "")
    assert "input_data" in (server.fault(load, 2, answer_in(wire, levels, [*series[:-1], 0.0])) or "")
    for malformed in ({}, [], [1, 2], {"outputs": [{}]}, {"outputs": 3}, None, 7):
        assert server.fault(load, 2, malformed) is not None


def test_bodies_carry_the_same_numbers_in_each_protocol(tmp_path: Path) -> None:
    load = make_load(5)
    for wire in (ORIGINAL, BATCH, V2):
        lines = load.write(tmp_path / "bodies", wire.body).read_bytes().splitlines()
        assert len(lines) == len(load.bodies)
        for line, body in zip(lines, load.bodies, strict=True):
            sent, wanted = json.loads(line), json.loads(body)["results"]
            if wire is V2:
                [tensor] = sent["inputs"]
                assert (tensor["data"], tensor["shape"], tensor["datatype"]) == (wanted, [1, 5], "FP64")
            else:
                assert sent["results"] == ([wanted] if wire is BATCH else wanted)


# --- environments ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", REQUIREMENTS, ids=lambda file: file.stem)
def test_the_pins_of_a_peer_are_exact_and_name_no_address(file: Path) -> None:
    lines = [line for line in file.read_text().splitlines() if not line.startswith("#")]
    assert lines
    assert [line for line in lines if not re.match(r"[A-Za-z0-9._-]+==[^\s;]+( ; .+)?$", line)] == []
    assert "://" not in file.read_text()
    assert file.with_suffix(".txt").read_text().startswith("# ")


def test_bare_ray_is_the_ray_that_luna_runs_on() -> None:
    luna = (Path(command.__file__).parents[2] / "requirements.txt").read_text()
    [version] = re.findall(r"^ray==(\S+)", luna, re.MULTILINE)
    assert f"\nray=={version}\n" in PEERS["ray-serve"].requirements.read_text()


def test_other_pins_make_another_environment() -> None:
    assert environment_name("a", b"x==1") == environment_name("a", b"x==1")
    assert len({environment_name("a", b"x==1"), environment_name("a", b"x==2"), environment_name("b", b"x==1")}) == 3
    assert re.fullmatch(r"a-[0-9a-f]{12}", environment_name("a", b"x==1"))


def test_an_environment_is_made_once_and_again_after_an_interruption(tmp_path: Path, monkeypatch) -> None:
    requirements = tmp_path / "pins.txt"
    requirements.write_text("# none\none==1\n")
    commands, said = [], []

    def run(argv, follow) -> None:
        commands.append(argv)
        if "venv" in argv:
            Path(argv[-1]).mkdir(parents=True)
        else:
            follow("Installing collected packages: one")

    monkeypatch.setattr(environments, "_run", run)
    made = prepared("peer", requirements, said.append, tmp_path / "cache")
    assert prepared("peer", requirements, said.append, tmp_path / "cache") == made
    assert len(commands) == 2
    assert "1 packages" in said[0]
    (made.path / environments.COMPLETE).unlink()
    prepared("peer", requirements, said.append, tmp_path / "cache")
    assert len(commands) == 4


def test_a_failed_installation_says_why() -> None:
    fails = [sys.executable, "-c", "print('Collecting one'); print('ERROR: not there'); raise SystemExit(3)"]
    seen: list[str] = []
    with pytest.raises(PeerNotInstalledError, match=r"ended with status 3.*ERROR: not there"):
        environments._run(fails, seen.append)
    assert seen[0] == "Collecting one\n"


def test_versions_are_those_of_the_environment(tmp_path: Path) -> None:
    place = tmp_path / "lib" / "python3.11" / "site-packages" / "Thing-1.5.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: Thing\nVersion: 1.5\n")
    assert Environment(tmp_path).versions(["thing", "other"]) == "thing 1.5, other (none)"


def test_a_peer_that_cannot_be_installed_is_named_and_left_out(monkeypatch, capsys) -> None:
    def broken(*_: object) -> Environment:
        raise PeerNotInstalledError("no such thing")

    monkeypatch.setattr(peer_servers, "prepared", broken)
    options = command.parse(["--only", "echo,mlserver"])
    facts: dict[str, str] = {}
    starters = command.Benchmark(options, command.Console(stderr=True))._installed(facts)
    assert list(starters) == ["echo"]
    assert facts == {"left out, mlserver": "no such thing"}
    assert "mlserver is left out: no such thing" in capsys.readouterr().err


def test_bare_ray_has_lunas_settings_but_none_of_its_code(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(peer_servers, "haproxy_binary", lambda: Path("/bin/true"))
    inherited = {"PATH": "/bin", "LUNA_PEPPERS": "secret", "PYTHONPATH": "/elsewhere"}
    with_haproxy, without = (bare_ray(inherited, tmp_path, proxy) for proxy in ("haproxy", "serve"))
    for found in (with_haproxy, without):
        assert [name for name in found if "LUNA" in name or name.startswith("PYTHON")] == []
        assert "luna_serving" not in "".join(found.values())
        assert found["RAY_AUTH_MODE"] == "token"
        assert found["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] == "0"
    assert (with_haproxy["RAY_SERVE_ENABLE_HA_PROXY"], with_haproxy["RAY_SERVE_THROUGHPUT_OPTIMIZED"]) == ("1", "1")
    assert (without["RAY_SERVE_ENABLE_HA_PROXY"], without["RAY_SERVE_THROUGHPUT_OPTIMIZED"]) == ("0", "0")


# --- command line and report -----------------------------------------------------------------------------------------


def test_the_command_line_takes_any_servers_in_their_order(capsys) -> None:
    options = command.parse([])
    assert options.only == ["original", "echo", "luna", "bentoml", "mlserver", "ray-serve", "ray-serve-haproxy"]
    assert (options.connections, options.points) == ([1, 32, 256], [200, 2000])
    assert command.parse(["--only", "mlserver,luna"]).only == ["luna", "mlserver"]
    with pytest.raises(SystemExit):
        command.parse(["--only", "torchserve"])
    assert "torchserve: choose from original" in capsys.readouterr().err


def test_ratios_to_the_original_to_the_echo_and_of_luna_are_taken_within_rounds() -> None:
    rates = {"original": (50.0, 100.0), "echo": (1000.0, 1000.0), "luna": (100.0, 400.0), "bentoml": (50.0, 50.0)}
    rows = report.make_rows({(200, 32, name): [a_slice(each) for each in rate] for name, rate in rates.items()})
    of = {row.server: row for row in rows}
    assert str(of["luna"].ratios["original"]) == "3 (2 to 4)"
    assert str(of["bentoml"].ratios["echo"]) == "0.05 (0.05 to 0.05)"
    assert str(of["bentoml"].luna) == "5 (2 to 8)"
    assert of["luna"].luna is None
    assert "original" not in of["original"].ratios
    cells = dict(zip(report.HEADINGS, of["bentoml"].cells(), strict=True))
    assert (cells["server"], cells["luna ÷ it"]) == ("bentoml", "5 (2 to 8)")
    [bentoml] = [row for row in report.as_json(rows, {}, {})["rows"] if row["server"] == "bentoml"]
    assert bentoml["luna_over_it"]["median"] == 5.0


def test_an_invalid_row_has_no_ratios_and_fills_the_table() -> None:
    rows = report.make_rows({(200, 1, "luna"): [a_slice(1.0)], (200, 1, "mlserver"): [a_slice(1.0, {"status 503": 2})]})
    assert all(len(row.cells()) == len(report.HEADINGS) for row in rows)
    assert rows[1].luna is None
    assert "2 x status 503" in report.as_markdown(rows, {})


def test_without_luna_there_is_no_ratio_of_it() -> None:
    [row] = report.make_rows({(200, 1, "bentoml"): [a_slice(1.0)]})
    assert (row.luna, row.ratios) == (None, {})


# --- the profile -----------------------------------------------------------------------------------------------------


def test_a_recording_is_folded_by_function() -> None:
    frames = [{"name": "outer", "file": "a.py", "line": 1}, {"name": "inner", "file": "b.py", "line": 1}]
    # The same function at another line.
    frames.append({"name": "inner", "file": "b.py", "line": 9})
    profiles = [
        {"samples": [[0, 1], [0, 2], [0], []], "weights": [1, 1, 2, 5]},
        {"samples": [[0, 1, 2]], "weights": [1]},
    ]
    found = folded.fold_profiles({"shared": {"frames": frames}, "profiles": profiles})
    assert found.samples == 5
    assert found.own == {"inner (b.py)": 3, "outer (a.py)": 2}
    assert found.total == {"inner (b.py)": 3, "outer (a.py)": 5}
    assert "| `outer (a.py)` | 40.0% | 100.0% |" in found.tables(1)


def test_replicas_are_known_by_their_titles() -> None:
    assert profile.is_replica("ray::ServeReplica:luna:ingress", "ingress")
    assert profile.is_replica("ray::ServeReplica:luna:ingress.handle_request", "ingress")
    assert not profile.is_replica("ray::ServeReplica:luna:ingress2", "ingress")
    assert not profile.is_replica("", "ingress")


def test_a_missing_replica_is_named() -> None:
    # Not below the tests' own process: a Luna of the run may stand there.
    with subprocess.Popen(["sleep", "60"]) as empty:
        try:
            with pytest.raises(profile.ToolFailedError, match="ingress, kalman"):
                profile.replicas(empty.pid)
        finally:
            empty.kill()
