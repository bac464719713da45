"""Claims about the sandbox: whatever a validator does, its parent gets a value, in bounded time and memory."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time

import psutil
import pytest

from luna_serving.capabilities.datasets.validation.check import TABLE_PRELOAD
from luna_serving.capabilities.datasets.validation.sandbox.limits import Ending, Limits
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox

HERE = "tests.capabilities.datasets.validation.misbehaving"
SMALL = Limits(memory_bytes=100 << 20, cpu_s=1, wall_s=30, output_bytes=1 << 20)


@pytest.fixture(scope="module")
async def sandbox():
    async with Sandbox(limits=SMALL) as sandbox:
        yield sandbox


async def died(pid: int, within_s: float = 5) -> bool:
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        await asyncio.sleep(0.02)
    return False


async def test_a_validators_result_and_messages_arrive(sandbox):
    messages = []
    outcome = await sandbox.run(f"{HERE}:echo", {"a": [1, None, "é"]}, each=messages.append)
    assert outcome.ending is Ending.FINISHED
    assert outcome.result == {"got": {"a": [1, None, "é"]}}
    assert messages == [{"progress": 1}]
    assert outcome.peak_bytes > 0


@pytest.mark.parametrize(
    ("validator", "ending"),
    [
        ("allocate_slowly", Ending.MEMORY),
        ("spin", Ending.CPU),
        ("fault", Ending.CRASHED),
        ("leave", Ending.CRASHED),
        ("talk", Ending.OUTPUT),
        ("one_long_line", Ending.OUTPUT),
        ("stop", Ending.RAISED),
        ("no_such_function", Ending.RAISED),
    ],
)
async def test_every_bad_end_is_a_value(sandbox, validator, ending):
    outcome = await sandbox.run(f"{HERE}:{validator}", {})
    assert outcome.ending is ending, outcome
    assert outcome.detail
    assert outcome.peak_bytes < 300 << 20
    # The next run is not disturbed.
    assert (await sandbox.run(f"{HERE}:echo", {})).finished


async def test_a_large_request_for_memory_is_refused_at_once(sandbox):
    outcome = await sandbox.run(f"{HERE}:allocate", {"bytes": 1 << 33})
    assert outcome.ending is Ending.MEMORY
    assert outcome.peak_bytes < 200 << 20


async def test_a_run_ends_with_its_wall_clock(sandbox):
    pids = []
    outcome = await sandbox.run(
        f"{HERE}:sleep", {}, limits=Limits(wall_s=0.3), each=lambda message: pids.append(message["pid"])
    )
    assert outcome.ending is Ending.WALL_CLOCK
    assert await died(pids[0])


async def test_a_cancelled_run_is_killed_within_a_second(sandbox):
    started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    run = asyncio.create_task(sandbox.run(f"{HERE}:sleep", {}, each=lambda m: started.set_result(m["pid"])))
    pid = await started
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert await died(pid, within_s=1)


async def test_processes_that_a_validator_leaves_behind_are_killed(sandbox):
    pids = []
    await sandbox.run(f"{HERE}:leave_children", {}, each=lambda message: pids.append(message["pid"]))
    assert await died(pids[0])


async def test_lines_that_are_no_json_objects_harm_nobody(sandbox):
    outcome = await sandbox.run(f"{HERE}:forged", {})
    assert outcome.finished
    assert outcome.result == {"fine": True}


@pytest.mark.skipif(sys.platform != "linux", reason="seccomp")
async def test_a_validator_reaches_no_network_program_process_or_disk(sandbox, tmp_path):
    file = tmp_path / "written"
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        outcome = await sandbox.run(
            f"{HERE}:attempts", {"port": listener.getsockname()[1], "file": str(file), "pid": os.getpid()}
        )
    assert outcome.finished, outcome
    met = dict(outcome.result)
    environment = met.pop("environment")
    assert met == {
        "socket": "PermissionError",
        "program": "PermissionError",
        "write": "OSError",
        "kill": "PermissionError",
        "files": "OSError",
    }
    assert not file.exists() or file.read_bytes() == b""
    assert [name for name in environment if name.startswith(("LUNA", "DATABASE", "REDIS", "S3", "AWS"))] == []
    assert sandbox.missing == ()


async def test_a_killed_server_is_our_fault_and_the_next_run_has_a_new_one():
    async with Sandbox() as sandbox:
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        run = asyncio.create_task(sandbox.run(f"{HERE}:sleep", {}, each=lambda m: started.set_result(m["pid"])))
        pid = await started
        os.kill(psutil.Process(pid).ppid(), signal.SIGKILL)
        assert (await run).ending is Ending.REFUSED
        assert await died(pid)
        assert (await sandbox.run(f"{HERE}:echo", {})).finished


async def test_children_die_with_a_parent_that_is_killed():
    program = f"""
import asyncio
from luna_serving.capabilities.datasets.validation.sandbox.running import Sandbox
async def main():
    await Sandbox().run("{HERE}:sleep", {{}}, each=lambda m: print(m["pid"], flush=True))
asyncio.run(main())
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, env=environment) as parent:  # noqa: ASYNC220
        pid = int(parent.stdout.readline())
        server = psutil.Process(pid).ppid()
        parent.kill()
    assert await died(pid)
    assert await died(server)


async def test_a_validator_of_tables_imports_no_framework_and_no_store():
    async with Sandbox(preload=TABLE_PRELOAD) as sandbox:
        outcome = await sandbox.run(f"{HERE}:modules", {})
    forbidden = {
        "pandas",
        "fastapi",
        "starlette",
        "ray",
        "jax",
        "sqlalchemy",
        "redis",
        "psycopg",
        "pydantic",
        "uvicorn",
    }
    assert "pyarrow" in outcome.result["modules"]
    assert forbidden & set(outcome.result["modules"]) == set()


async def test_a_thousand_runs_do_not_start_a_thousand_interpreters(sandbox):
    await sandbox.run(f"{HERE}:echo", {})
    began = time.monotonic()
    outcomes = await asyncio.gather(*(sandbox.run(f"{HERE}:echo", {"i": i}) for i in range(100)))
    assert [outcome.result["got"]["i"] for outcome in outcomes] == list(range(100))
    assert time.monotonic() - began < 20
