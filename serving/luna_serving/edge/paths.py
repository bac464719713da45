"""The paths of an account's routes: `/api/v1/{account_id}/...`, or `/api/v1/...` for the credential's own account."""

import re
from typing import Final

PREFIX: Final = "/api/v1"
# An account's id has digits only, so a route's first segment must not.
ACCOUNT_PATH: Final = re.compile(r"/api/v1/(?:(\d{1,10})/)?(.+)", re.ASCII)


def asks_for_credentials(path: str) -> bool:
    """Whether what is served below a path asks for credentials; signing in does not, and its other routes see to it."""
    return path.startswith(f"{PREFIX}/") and not path.startswith(f"{PREFIX}/auth/")
