"""What the operator wrote of its own mistakes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# asyncio, of a connection whose other end went away while this process was stopped.
NOISE = "Fatal error on SSL protocol"


def errors(folder: Path) -> list[str]:
    """Lines of level error and above, and lines that are not JSON: tracebacks."""
    found = []
    for line in (folder / "operator.log").read_text().splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            # A kill cuts a line anywhere.
            if not line.startswith("{"):
                found.append(line)
            continue
        if entry["level"] in {"error", "critical"} and not entry["message"].startswith(NOISE):
            found.append(line)
    return found
