"""The efficient frontier of ten assets: its corners as a table, and as a job a chart.

    python examples/markowitz.py                  # the table
    python examples/markowitz.py frontier.svg     # and the chart

Needs httpx. Costs one unit, and one for the chart. The assets are those of Bailey and Lopez de Prado (2013), "An
open-source implementation of the critical-line algorithm for portfolio optimization".
"""

import sys
from pathlib import Path

import httpx
from connection import connection

MEAN = [1.175, 1.19, 0.396, 1.12, 0.346, 0.679, 0.089, 0.73, 0.481, 1.08]
# The lower triangle of the covariance.
LOWER = """
0.40755159
0.03175842 0.9063047
0.05183923 0.03136385 0.19490901
0.05663904 0.02687256 0.04408485 0.19528471
0.0330226 0.01917172 0.03006772 0.02777345 0.34059105
0.00827775 0.00934384 0.01322738 0.00526665 0.00777055 0.15983874
0.02165938 0.02495043 0.03525971 0.01375808 0.02067844 0.02105575 0.68056711
0.01332419 0.00761036 0.0115493 0.00780878 0.00736409 0.00518686 0.01377882 0.95526918
0.0343476 0.02874874 0.0427563 0.02914176 0.02542657 0.01723737 0.04627027 0.0106553 0.31681584
0.02249903 0.01336866 0.02057303 0.01640377 0.01284075 0.00723779 0.01926088 0.00760955 0.01854318 0.11079287
"""


def covariance() -> list[list[float]]:
    """Return the whole matrix."""
    rows = [[float(x) for x in line.split()] for line in LOWER.strip().splitlines()]
    n = len(rows)
    return [[rows[max(i, j)][min(i, j)] for j in range(n)] for i in range(n)]


def main() -> None:
    """Print the corners, and write the chart."""
    body = {"objective": "efficient_frontier", "mean": MEAN, "cov": covariance()}
    url, headers = connection()
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        answer = client.post("markowitz", json=body)
        if answer.is_error:
            problem = answer.json()
            raise SystemExit(f"{answer.status_code} {problem['title']} {problem['detail']}")
        print("  return     risk  largest weight")
        for corner in answer.json()["corners"]:
            weights = corner["weights"]
            largest = max(range(len(weights)), key=weights.__getitem__)
            held = f"asset {largest} with {100 * weights[largest]:.1f} %"
            print(f"{corner['expected_return']:8.4f} {corner['risk']:8.4f}  {held}")
        if sys.argv[1:]:
            # As a job the same body leaves a chart and a report.
            job = client.post("markowitz", json=body, headers={"Prefer": "respond-async, wait=30"}).raise_for_status()
            drawn = client.get(httpx.URL(url).join(f"{job.headers['Location']}/artifacts/frontier.svg"))
            Path(sys.argv[1]).write_bytes(drawn.raise_for_status().content)


if __name__ == "__main__":
    main()
