"""The README's calls, run as they stand there."""

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest
from tests.serving.platform import Platform

README = (Path(__file__).parents[2] / "README.md").read_text()
CALLS = [block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "curl" in block]
(PYTHON,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
ANSWER = re.search(r"```json\n(.*?)```", README, re.DOTALL)


async def run(platform: Platform, folder: Path, *command: str) -> str:
    caller = await platform.caller()
    environment = {"LUNA_URL": platform.url, "LUNA_ACCOUNT_ID": caller.id, "LUNA_API_KEY": caller.key.secret}
    (folder / ".luna").mkdir()
    (folder / ".luna" / "env").write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
    process = await asyncio.create_subprocess_exec(*command, cwd=folder, stdout=asyncio.subprocess.PIPE)
    printed, _ = await process.communicate()
    assert process.returncode == 0
    return printed.decode()


async def test_the_first_call_is_answered_as_the_readme_says(platform: Platform, tmp_path: Path) -> None:
    assert ANSWER is not None
    assert json.loads(await run(platform, tmp_path, "sh", "-ec", CALLS[0])) == json.loads(ANSWER[1])


@pytest.mark.parametrize("call", CALLS[1:])
async def test_every_further_call_is_answered(platform: Platform, tmp_path: Path, call: str) -> None:
    assert "results" in json.loads(await run(platform, tmp_path, "sh", "-ec", call))


async def test_the_call_in_python_is_answered(platform: Platform, tmp_path: Path) -> None:
    mean = json.loads(await run(platform, tmp_path, sys.executable, "-c", PYTHON))
    assert len(mean) == 3
    assert len(set(mean)) == 1, "a local level's forecast is constant"
