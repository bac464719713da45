"""The README's calls, run as they stand there."""

import asyncio
import json
import re
from pathlib import Path

import pytest
from tests.serving.platform import Platform

README = (Path(__file__).parents[2] / "README.md").read_text()
CALLS = [block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "curl" in block]
ANSWER = re.search(r"```json\n(.*?)```", README, re.DOTALL)


async def run(platform: Platform, call: str, folder: Path) -> dict[str, object]:
    caller = await platform.caller()
    environment = {"LUNA_URL": platform.url, "LUNA_ACCOUNT_ID": caller.id, "LUNA_API_KEY": caller.key.secret}
    (folder / ".luna").mkdir()
    (folder / ".luna" / "env").write_text("".join(f"{name}={value}\n" for name, value in environment.items()))
    shell = await asyncio.create_subprocess_exec("sh", "-ec", call, cwd=folder, stdout=asyncio.subprocess.PIPE)
    printed, _ = await shell.communicate()
    assert shell.returncode == 0
    answer: dict[str, object] = json.loads(printed)
    return answer


async def test_the_first_call_is_answered_as_the_readme_says(platform: Platform, tmp_path: Path) -> None:
    assert ANSWER is not None
    assert await run(platform, CALLS[0], tmp_path) == json.loads(ANSWER[1])


@pytest.mark.parametrize("call", CALLS[1:])
async def test_every_further_call_is_answered(platform: Platform, tmp_path: Path, call: str) -> None:
    assert "results" in await run(platform, call, tmp_path)
