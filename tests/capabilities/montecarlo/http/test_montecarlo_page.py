"""The page about Monte Carlo: its calls work as pasted, and it names what there is."""

import asyncio
import json
import os
import re
from pathlib import Path

from tests.serving.platform import Platform

from luna_serving.capabilities.montecarlo.schemas.models import AnyModel
from luna_serving.capabilities.montecarlo.schemas.payoffs import AnyPayoff
from luna_serving.wire.strict import kinds_of

PAGE = (Path(__file__).parents[4] / "docs" / "montecarlo.md").read_text()
CALLS = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


async def test_the_calls_of_the_page_work_as_pasted(platform: Platform, tmp_path: Path) -> None:
    caller = await platform.caller()
    environment = os.environ | {"LUNA_URL": platform.url, "LUNA_API_KEY": caller.key.secret}
    process = await asyncio.create_subprocess_exec(
        "sh", "-ec", "\necho; echo ---\n".join(CALLS), cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE
    )
    printed, _ = await process.communicate()
    assert process.returncode == 0, printed.decode()
    asian, risk, extended = (json.loads(each) for each in printed.decode().split("---\n"))
    assert asian["plan"]["control_variates"] == ["geometric"]
    assert 0 < risk["var"]["0.95"]["value"] < risk["es"]["0.95"]["value"]
    assert extended["kind"] == "montecarlo"


def test_the_page_names_every_model_payoff_and_field() -> None:
    for union in (AnyModel, AnyPayoff):
        for kind, schema in kinds_of(union).items():
            assert f"`{kind}`" in PAGE
            assert {name for name in schema.model_fields if name != "kind" and name not in PAGE} == set()
