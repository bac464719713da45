"""Fit a model to many series as a job, watch its progress, and print the estimates.

    python examples/jobs.py 100    # of so many series

Needs httpx. Costs a unit per series.
"""

import json
import random
import sys
import uuid
from collections.abc import Iterator

import httpx
from connection import connection

MODEL = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.1}


def walks(count: int) -> list[list[float]]:
    """Random walks, seen with noise."""
    draw = random.Random(1)  # noqa: S311  an example
    series = []
    for _ in range(count):
        level, values = 0.0, []
        for _ in range(60):
            level += draw.gauss(0, 0.3)
            values.append(round(level + draw.gauss(0, 1), 3))
        series.append(values)
    return series


def changes(client: httpx.Client, url: str) -> Iterator[dict[str, object]]:
    """The job at each of its changes, until it ends; connects again where the stream breaks off."""
    last = ""
    while True:
        headers = {"Last-Event-ID": last} if last else {}
        with client.stream("GET", url, headers=headers) as answer:
            if answer.status_code == 204:
                return
            answer.raise_for_status()
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "id":
                    last = value
                elif name == "data":
                    yield json.loads(value)


def main() -> None:
    """Create the job, watch it, and print one line per series."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    url, headers = connection()
    server = url.split("/api/", 1)[0]
    body = {"kind": "kalman/fit", "parameters": {"model": MODEL, "observations": walks(count)}}
    with httpx.Client(headers=headers, timeout=60) as client:
        # Sent again with the same key, the call would create no second job.
        answer = client.post(f"{url}/jobs/", json=body, headers={"Idempotency-Key": str(uuid.uuid4())})
        if answer.is_error:
            raise SystemExit(f"{answer.status_code} {answer.json()['detail']}")
        links = answer.json()["links"]
        for job in changes(client, server + links["events"]):
            progress = job["progress"]
            print(job["status"], f"{progress['completed']}/{progress['total']} {progress['unit']}", file=sys.stderr)
        result = client.get(server + links["result"]).raise_for_status().json()
    for each in result["results"]:
        print(" ".join(f"{name}={value:.4f}" for name, value in each["estimates"].items()))


if __name__ == "__main__":
    main()
