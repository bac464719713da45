"""Runs examples as processes."""

import asyncio
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.serving.platform import Caller

EXAMPLES = Path(__file__).parents[2] / "examples"


@dataclass
class Ran:
    output: str
    errors: str


async def run(
    name: str, *arguments: str, env: Mapping[str, str], folder: Path | None = None, typed: str = "", status: int = 0
) -> Ran:
    """Run an example with these variables, and no other of Luna's."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith("LUNA_")} | dict(env)
    program = sys.executable if name.endswith(".py") else "sh"
    process = await asyncio.create_subprocess_exec(
        program,
        str(EXAMPLES / name),
        *arguments,
        cwd=folder,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await process.communicate(typed.encode())
    assert process.returncode == status, errors.decode()
    return Ran(output.decode(), errors.decode())


def variables(caller: Caller, url: str | None = None) -> dict[str, str]:
    return {
        "LUNA_URL": url or caller.base_url,
        "LUNA_ACCOUNT_ID": str(caller.id),
        "LUNA_API_KEY": caller.key.secret,
    }
