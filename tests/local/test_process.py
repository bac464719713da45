from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from luna_serving.local.data_folder.errors import ServerDiedError
from luna_serving.local.servers.process import ServerProcess, wait_until
from luna_serving.local.servers.process_tree import stop_left_over

from .conftest import gone_within, runs

STUBBORN = """
import signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print("child", child.pid, flush=True)
time.sleep(60)
"""

OBEDIENT = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))
print("ready", flush=True)
time.sleep(60)
"""


def start(script: str, tmp_path, **options) -> ServerProcess:
    return ServerProcess([sys.executable, "-c", script], log_file=tmp_path / "log" / "server.log", **options)


def wait_for_output(process: ServerProcess) -> str:
    wait_until(lambda: process.log_tail() != "", process, 10)
    return process.log_tail()


def test_a_server_that_ignores_the_signal_is_killed_with_all_it_started(tmp_path):
    process = start(STUBBORN, tmp_path)
    child = int(wait_for_output(process).split()[1])
    assert process.stop((signal.SIGTERM, 0.2)) == -signal.SIGKILL
    assert not runs(child)
    assert process.poll() == -signal.SIGKILL


def test_a_server_that_obeys_gets_no_second_signal(tmp_path):
    process = start(OBEDIENT, tmp_path)
    wait_for_output(process)
    assert process.stop((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)) == 7


def test_ctrl_c_in_the_terminal_does_not_reach_a_server(tmp_path):
    process = start("import time; time.sleep(60)", tmp_path)
    try:
        assert os.getsid(process.pid) == process.pid != os.getsid(0)
        assert os.getpgid(process.pid) == process.pid
    finally:
        process.kill()


def test_a_death_at_the_start_shows_only_the_lines_of_this_run(tmp_path):
    start("print('from an earlier run')", tmp_path).wait(10)
    process = start("import sys; sys.exit('no such table')", tmp_path)
    with pytest.raises(ServerDiedError, match=r"(?s)status 1.*no such table") as caught:
        wait_until(lambda: False, process, 10)
    assert "earlier" not in str(caught.value)
    assert "from an earlier run" in process.log_file.read_text()


def test_a_server_that_never_answers_is_given_up(tmp_path):
    process = start("import time; time.sleep(60)", tmp_path)
    try:
        with pytest.raises(ServerDiedError, match=r"no answer within 0\.2 s"):
            wait_until(lambda: False, process, 0.2)
    finally:
        process.kill()


def test_a_program_that_cannot_run_is_a_readable_error(tmp_path):
    process = ServerProcess(["/nonexistent/server"], log_file=tmp_path / "log")
    with pytest.raises(ServerDiedError, match="FileNotFoundError"):
        wait_until(lambda: False, process, 10)


def test_a_left_over_that_ignores_the_signal_is_killed(tmp_path):
    script = tmp_path / "server.py"
    script.write_text(STUBBORN)
    process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    child = int(process.stdout.readline().split()[1])
    pid_file = tmp_path / "pid"
    pid_file.write_text(f"{process.pid}\n")
    program = os.path.basename(sys.executable)  # noqa: PTH119 - a name
    assert not stop_left_over(pid_file, program, "another.py", ())
    assert not stop_left_over(pid_file, "another", str(script), ())
    assert process.poll() is None
    started = time.monotonic()
    assert stop_left_over(pid_file, program, str(script), ((signal.SIGTERM, 0.2),))
    assert time.monotonic() - started < 5
    assert process.wait(5) == -signal.SIGKILL
    assert process.stdout.read() == ""
    assert gone_within(1, child)
