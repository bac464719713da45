"""Show the own account's quota, and its usage by hour as CSV.

    python examples/account.py > usage.csv    # the quota goes to standard error

Needs httpx. Costs no units.
"""

import sys

import httpx
from connection import connection


def main() -> None:
    """Print the quota, then the usage."""
    url, headers = connection()
    with httpx.Client(headers=headers, timeout=30) as client:
        account = client.get(url).raise_for_status().json()
        usage = client.get(f"{url}/usage", params={"step": "hour"}, headers={"Accept": "text/csv"}).raise_for_status()
    quota = account["quota"]
    print(f"{account['account_name']}: {quota['remaining']} of {quota['limit']} units left", file=sys.stderr)
    print(usage.text, end="")


if __name__ == "__main__":
    main()
