"""Value at risk and expected shortfall of two shares over ten days, by a job whose estimate is shown as it runs.

    python examples/montecarlo.py

Needs httpx. When it has ended it is extended by as many paths again.
"""

import json
import time

import httpx
from connection import connection

ASSETS = [{"spot": 100.0, "volatility": 0.25}, {"spot": 40.0, "volatility": 0.35}]
PARAMETERS = {
    "model": {"kind": "basket", "assets": ASSETS, "rate": 0.03, "correlation": [[1.0, 0.4], [0.4, 1.0]]},
    "payoff": {"kind": "portfolio", "weights": [0.7, 0.3], "horizon": 10 / 252, "levels": [0.95, 0.99]},
    "paths": 2_000_000,
    "seed": 7,
}


def main() -> None:
    """Create, watch, print, extend."""
    url, headers = connection()
    with httpx.Client(base_url=url, headers=headers, timeout=30) as client:
        job = checked(client.post("/jobs/", json={"kind": "montecarlo", "parameters": PARAMETERS}))
        watch(client, job["id"])
        show(finished(client, job["id"]))
        checked(client.post(f"/jobs/{job['id']}/extend", json={"paths": PARAMETERS["paths"]}))
        show(finished(client, job["id"]))


def checked(answer: httpx.Response) -> dict:
    """The answer's document; ends the program where it is a problem."""
    document = answer.json()
    if answer.is_error:
        raise SystemExit(f"{answer.status_code} {document['title']} {document.get('detail', '')}")
    return document


def watch(client: httpx.Client, job_id: str) -> None:
    """Print the estimates of a job as they come, until it has ended."""
    with client.stream("GET", f"/jobs/{job_id}/events") as events:
        for line in events.iter_lines():
            if line.startswith("data: "):
                progress = json.loads(line.removeprefix("data: "))["progress"]
                if progress["estimate"]:
                    print("{completed} of {total} blocks".format(**progress))


def finished(client: httpx.Client, job_id: str) -> dict:
    """The result of a job, once it has ended."""
    while True:
        job = checked(client.get(f"/jobs/{job_id}", headers={"Prefer": "wait=10"}))
        if job["status"] == "succeeded":
            return checked(client.get(f"/jobs/{job_id}/result"))
        if job["status"] not in {"queued", "running"}:
            raise SystemExit(f"The job is {job['status']}.")
        time.sleep(0.1)


def show(result: dict) -> None:
    """Print losses with their errors."""
    print(f"{result['paths']} paths")
    for level, var in result["var"].items():
        es = result["es"][level]
        losses = [f"{name} {loss['value']:.5f} +- {loss['std_error']:.5f}" for name, loss in (("VaR", var), ("ES", es))]
        print(f"{level}: {', '.join(losses)}")


if __name__ == "__main__":
    main()
