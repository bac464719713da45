"""Where Luna is, and as whom to call it: from the environment, else from `.luna/env`, which `make up` writes."""

import os
from pathlib import Path

NAMES = ("LUNA_URL", "LUNA_ACCOUNT_ID", "LUNA_API_KEY")


def connection() -> tuple[str, dict[str, str]]:
    """Return the account's URL and the headers that authenticate a call."""
    values = {name: os.environ[name] for name in NAMES if name in os.environ}
    written = Path(".luna/env")
    if len(values) < len(NAMES) and written.exists():
        values = dict(line.split("=", 1) for line in written.read_text().splitlines()) | values
    if missing := [name for name in NAMES if name not in values]:
        raise SystemExit(f"Set {', '.join(missing)}, or run this where `make up` runs.")
    return f"{values['LUNA_URL']}/api/v1/{values['LUNA_ACCOUNT_ID']}", {"X-API-Key": values["LUNA_API_KEY"]}
