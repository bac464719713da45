"""What a rule would have done: send an hour of samples, replay a rule over them with several values of `for`.

    python examples/alerts.py

Needs httpx. Costs a unit per simulation, and one for the samples.
"""

import math
import time

import httpx
from connection import connection

RULE = {
    "expr": "sensor_load > 0.9",
    "interval": "15s",
    "annotations": {"summary": "{{ $labels.sensor }}: {{ $value }}"},
}


def main() -> None:
    """Send, simulate, print."""
    url, headers = connection()
    now = int(time.time() * 1000)
    times = list(range(now - 3_600_000, now, 15_000))
    series = [
        {
            "name": "sensor_load",
            "labels": {"sensor": f"s{i}"},
            "timestamps": times,
            "values": [abs(math.sin((at / 60_000 + i) / (3 + i))) for at in times],
        }
        for i in range(3)
    ]
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        checked(client.post("metrics/batch", json={"series": series}))
        for hold in ("0s", "1m", "2m", "5m"):
            body = {"rule": {**RULE, "for": hold}, "start": times[0], "end": times[-1]}
            found = checked(client.post("alerts/rules/simulate", json=body))
            print(f"for {hold:>2}: {len(found['firings'])} firings, {found['flaps']} of them again")


def checked(answer: httpx.Response) -> dict:
    """The answer's JSON; a refusal ends the example with its reason."""
    if answer.is_error:
        raise SystemExit(answer.text)
    return answer.json()


if __name__ == "__main__":
    main()
