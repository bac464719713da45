"""Sign in with a password, call the filter as a person, refresh the session, and sign out.

    python examples/people.py

Needs httpx. Costs one unit. Reads LUNA_URL, LUNA_EMAIL and LUNA_PASSWORD from the environment, else from `.luna/env`.
"""

import os
import sys
from pathlib import Path

import httpx

NAMES = ("LUNA_URL", "LUNA_EMAIL", "LUNA_PASSWORD")


def settings() -> list[str]:
    """The URL, the email address and the password."""
    file = Path(".luna/env")
    kept = dict(line.split("=", 1) for line in file.read_text().splitlines()) if file.exists() else {}
    found = {name: os.environ.get(name) or kept.get(name, "") for name in NAMES}
    missing = [name for name, value in found.items() if not value]
    if missing:
        sys.exit(f"Set {', '.join(missing)}, or start Luna here with `make up`.")
    return list(found.values())


def main() -> None:
    """Print who calls, and the filtered series."""
    url, email, password = settings()
    with httpx.Client(base_url=f"{url}/api/v1", timeout=30) as client:
        session = client.post("auth/login", json={"email": email, "password": password}).raise_for_status().json()
        # An access token lives for minutes. A refresh token gives the next one, once.
        body = {"refresh_token": session["refresh_token"]}
        session = client.post("auth/refresh", json=body).raise_for_status().json()
        client.headers["Authorization"] = f"Bearer {session['access_token']}"
        me = client.get("auth/me").raise_for_status().json()
        print(f"{me['email']} has the role {me['role']} in account {me['account_id']}", file=sys.stderr)
        print(client.post("kalman", json={"results": [1120, 1160, 963, 1210]}).raise_for_status().text)
        client.post("auth/logout", json={"refresh_token": session["refresh_token"]}).raise_for_status()


if __name__ == "__main__":
    main()
