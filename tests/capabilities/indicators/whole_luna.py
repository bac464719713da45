"""`luna` and pages' commands against a running Luna."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.serving.platform import Caller, Platform


async def run(*command: str, folder: Path, env: Mapping[str, str]) -> str:
    """Run a program; its standard output."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("LUNA_")}
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=folder,
        env=bare | dict(env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    return out.decode()


async def luna(platform: Platform, folder: Path, *arguments: str, caller: Caller | None = None) -> Any:
    """What a command of `luna` prints with --json; as an administrator, or as a caller."""
    env = {
        "DATABASE_URL": platform.database_url,
        "REDIS_URL": platform.redis_url,
        "LUNA_PEPPERS": platform.peppers,
        **platform.objects.environment,
        "LUNA_URL": platform.url,
    }
    if caller is not None:
        env |= {"LUNA_API_KEY": caller.key.secret, "LUNA_ACCOUNT_ID": str(caller.id)}
    program = [sys.executable, "-m", "luna_serving.cli", *arguments, "--json"]
    return json.loads(await run(*program, folder=folder, env=env))


async def pasted(platform: Platform, folder: Path, block: str, caller: Caller) -> str:
    """What a block of a page prints, beside a `.luna/env` of the caller."""
    (folder / ".luna").mkdir(exist_ok=True)
    variables = {"LUNA_URL": platform.url, "LUNA_ACCOUNT_ID": caller.id, "LUNA_API_KEY": caller.key.secret}
    (folder / ".luna" / "env").write_text("".join(f"{name}={value}\n" for name, value in variables.items()))
    # Pages call `luna`, which may be installed elsewhere.
    function = f'luna() {{ "{sys.executable}" -m luna_serving.cli "$@"; }}\n'
    return await run("sh", "-ec", function + block, folder=folder, env={})
