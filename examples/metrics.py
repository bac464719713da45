"""Keep Luna's own metrics in Luna: read /metrics, send the samples, ask for a rate with PromQL and draw it.

    python examples/metrics.py [ROUNDS]        # rounds of a second, 10 by default

Needs httpx. Costs two units per round, about 1,000 samples each, and one for the query.
"""

import re
import sys
import time

import httpx
from connection import connection

QUERY = 'sum by (route) (rate(http_requests_total{route=~"metrics/.+"}[30s]))'
LINE = re.compile(r"(?P<name>[a-zA-Z_:][\w:]*)(?:\{(?P<labels>.*)\})? (?P<value>\S+)")
LABEL = re.compile(r'(?P<name>\w+)="(?P<value>(?:[^"\\]|\\.)*)"')
BARS = " ▁▂▃▄▅▆▇█"


def main() -> None:
    """Send the server's metrics once a second, then draw what it answered per second by route."""
    url, headers = connection()
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    server = httpx.URL(url).copy_with(path="/metrics")
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        for _ in range(rounds):
            exposed = httpx.get(server, timeout=60)
            exposed.raise_for_status()
            answer = client.post("metrics/batch", json={"metrics": samples(exposed.text)})
            answer.raise_for_status()
            rejected = answer.json().get("rejected", [])
            print(f"{answer.json()['accepted']} samples accepted, {len(rejected)} rejected", file=sys.stderr)
            time.sleep(1.0)
        end = time.time()
        asked = {"query": QUERY, "start": end - rounds, "end": end, "step": 1}
        found = client.get("metrics/query/range", params=asked)
        found.raise_for_status()
    for series in found.json()["data"]["result"]:
        values = [float(value) for _, value in series["values"]]
        print(f"{series['metric']['route']:<28} {sparkline(values)} {values[-1]:.2f}/s")


def samples(text: str) -> list[dict[str, object]]:
    """The samples of a page in Prometheus' text format, at this moment."""
    now, found = int(time.time() * 1000), []
    for line in text.splitlines():
        match = LINE.fullmatch(line)
        if match is None or match["value"] in {"NaN", "+Inf", "-Inf"}:
            continue
        labels = {each["name"]: unescaped(each["value"]) for each in LABEL.finditer(match["labels"] or "")}
        found.append({"name": match["name"], "value": float(match["value"]), "timestamp": now, "labels": labels})
    return found


def unescaped(text: str) -> str:
    """A label's value without the escapes of the text format."""
    return re.sub(r"\\(.)", lambda each: "\n" if each[1] == "n" else each[1], text)


def sparkline(values: list[float]) -> str:
    """A line of bars, the largest value full."""
    most = max(*values, 1e-9)
    return "".join(BARS[round(value / most * (len(BARS) - 1))] for value in values)


if __name__ == "__main__":
    main()
