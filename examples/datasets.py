"""Upload a data set, wait for the verdict, print the findings, and filter its series by name.

    python examples/datasets.py [FILE.csv]

Needs httpx. Costs one unit, and one per series. Without a file it sends a small one of its own, with columns `ts`,
`shop` and `y`.
"""

import hashlib
import sys
from pathlib import Path

import httpx
from connection import connection

CONTRACT = {"time_column": "ts", "series_column": "shop", "value_columns": ["y"]}
ROWS = [f"2024-01-{day:02d},{shop},{day * 1.5}" for shop in "ab" for day in range(1, 29)]


def main() -> None:
    """Print the state and the findings."""
    data = Path(sys.argv[1]).read_bytes() if sys.argv[1:] else "\n".join(["ts,shop,y", *ROWS, ""]).encode()
    digest = hashlib.sha256(data).hexdigest()
    file = {"path": "sales.csv", "bytes": len(data), "sha256": digest, "media_type": "text/csv"}
    url, headers = connection()
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        body = {"name": "sales", "type": "series", "contract": CONTRACT, "files": [file]}
        # The same key and body find the same set again, should the connection break.
        key = {"Idempotency-Key": digest}
        started = client.post("upload/start", json=body, headers=key).raise_for_status().json()
        for each in started["files"]:
            if each["state"] == "missing":
                # Exactly these headers, which are signed; the API key has no business at the object store.
                sent = httpx.put(each["upload"]["url"], headers=each["upload"]["headers"], content=data, timeout=60)
                sent.raise_for_status()
        dataset_id = started["dataset_id"]
        client.post("upload/complete", json={"dataset_id": dataset_id}).raise_for_status()
        state = "validating"
        while state == "validating":
            answer = client.get(f"validation/{dataset_id}/status", headers={"Prefer": "wait=20"})
            status = answer.raise_for_status().json()
            state = status["state"]
        if state == "valid":
            model = {"kind": "local_level", "obs_var": 1.0, "level_var": 0.1}
            named = {"dataset": f"{status['name']}@{status['version']}", "columns": "y"}
            body = {"model": model, "observations": named, "outputs": ["loglike"]}
            print(client.post("kalman/filter", json=body).raise_for_status().text)
    for finding in status["findings"]:
        print(f"{finding['severity']} {finding['id']} {finding['path']}: {finding['message']} {finding['remedy']}")
    print(f"{status['name']}@{status['version']} is {state}")


if __name__ == "__main__":
    main()
