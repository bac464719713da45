"""The page about alerts: its calls work as pasted, on a running Luna."""

import asyncio
import json
import os
import re
from pathlib import Path
from typing import Any

from tests.serving.platform import Platform

PAGE = (Path(__file__).parents[3] / "docs" / "alerts.md").read_text()
CALLS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


async def test_the_calls_of_the_page_work_as_pasted(platform: Platform, tmp_path: Path) -> None:
    caller = await platform.caller()
    (tmp_path / ".luna").mkdir()
    (tmp_path / ".luna" / "env").write_text(f"LUNA_URL={platform.url}\nLUNA_API_KEY={caller.key.secret}\n")
    process = await asyncio.create_subprocess_exec(
        "sh", "-ec", "\necho\n".join(CALLS), cwd=tmp_path, env=dict(os.environ), stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    answers = list(_answers(printed.decode()))
    ingested, rule, active, simulated, silence = answers
    assert ingested == {"accepted": 1}, answers
    assert (rule["name"], rule["kind"]) == ("hot", "expr")
    (alert,) = active["alerts"]
    assert alert["state"] == "firing"
    assert alert["annotations"] == {"summary": "a is at 97%"}
    assert simulated["evaluations"] in (240, 241)
    assert silence.keys() == {"silenceID"}


def _answers(printed: str) -> Any:
    """The JSON documents of a text, one behind the other."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(printed):
        if printed[at].isspace():
            at += 1
            continue
        found, at = decoder.raw_decode(printed, at)
        yield found
