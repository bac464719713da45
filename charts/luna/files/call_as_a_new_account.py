"""`helm test`: make an Account, call with the key that its Secret holds, delete it again.

Runs in the operator's image with Python's standard library alone. What it may do is in templates/tests/account.yaml.
Environment: LUNA_URL, ACCOUNT, NAMESPACE, TIMEOUT_S, and what every pod has (KUBERNETES_SERVICE_*).
"""

# A program of its own, which speaks on standard output, to https and to the release's Service.
# ruff: noqa: INP001, T201, S310

import base64
import json
import os
import ssl
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

CREDENTIALS = Path(os.environ.get("CREDENTIALS", "/var/run/secrets/kubernetes.io/serviceaccount"))
SERIES = [1120, 1160, 963, None, 1160]


class Failed(Exception):
    """What went wrong, and where to look."""


class Kubernetes:
    """The few requests to the API server that this needs."""

    def __init__(self) -> None:
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        self._url = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self._tls = ssl.create_default_context(cafile=str(CREDENTIALS / "ca.crt"))

    def request(self, method: str, path: str, body: object = None) -> dict[str, Any] | None:
        """The answer; None for 404."""
        headers = {"Authorization": f"Bearer {(CREDENTIALS / 'token').read_text()}"}
        try:
            return sent(method, self._url + path, headers, body, self._tls)
        except urllib.error.HTTPError as e:
            if e.code == 404:
                return None
            raise Failed(f"{method} {path}: {e.code} {e.read().decode()}") from e


def sent(
    method: str, url: str, headers: dict[str, str], body: object, tls: ssl.SSLContext | None = None
) -> dict[str, Any]:
    """Send JSON and read an object."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **headers}, method=method)
    with urllib.request.urlopen(request, timeout=30, context=tls) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def until(deadline: float, holds: Callable[[], bool], complaint: Callable[[], str]) -> None:
    """Wait until something holds."""
    while not holds():
        if time.monotonic() > deadline:
            raise Failed(complaint())
        time.sleep(1)


def main() -> None:
    """Run the test."""
    name, namespace, luna = os.environ["ACCOUNT"], os.environ["NAMESPACE"], os.environ["LUNA_URL"]
    kubernetes = Kubernetes()
    collection = f"/apis/luna.dev/v1/namespaces/{namespace}/accounts"
    account = f"{collection}/{name}"
    deadline = time.monotonic() + float(os.environ["TIMEOUT_S"])
    until(
        deadline, lambda: kubernetes.request("DELETE", account) is None, lambda: f"An earlier {name} does not go away."
    )
    manifest = {
        "apiVersion": "luna.dev/v1",
        "kind": "Account",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"displayName": "helm test", "quota": {"limit": 1}, "deletionPolicy": "Delete"},
    }
    kubernetes.request("POST", collection, manifest)
    try:
        call(kubernetes, namespace, account, luna, deadline)
    finally:
        kubernetes.request("DELETE", account)
    until(
        time.monotonic() + 30,
        lambda: kubernetes.request("GET", account) is None,
        lambda: f"The deleted Account {namespace}/{name} does not go away: look at the operator's log.",
    )
    print("The Account is gone again. All is well.")


def call(kubernetes: Kubernetes, namespace: str, account: str, luna: str, deadline: float) -> None:
    """Wait for the key, and use it."""
    seen: dict[str, Any] = {}

    def ready() -> bool:
        nonlocal seen
        seen = (kubernetes.request("GET", account) or {}).get("status") or {}
        return any(c["type"] == "Ready" and c["status"] == "True" for c in seen.get("conditions") or ())

    until(deadline, ready, lambda: f"The Account did not get ready: {json.dumps(seen.get('conditions'))}")
    secret = f"/api/v1/namespaces/{namespace}/secrets/{account.rpartition('/')[2]}-luna-key"
    found = kubernetes.request("GET", secret)
    if found is None:
        raise Failed(f"The Account is ready, but there is no {secret}.")
    key, number = (base64.b64decode(found["data"][field]).decode() for field in ("api-key", "account-id"))
    print(f"Account {number} is ready.")
    url = f"{luna}/api/v1/{number}/kalman"
    try:
        answer = sent("POST", url, {"X-API-Key": key}, {"results": SERIES})
    except urllib.error.URLError as e:
        text = e.read().decode() if isinstance(e, urllib.error.HTTPError) else e.reason
        raise Failed(f"POST {url}: {e} {text}") from e
    filtered = answer["processed_results"]
    if len(filtered) != len(SERIES) or not all(min(x or 1e9 for x in SERIES) <= y <= 1160 for y in filtered):
        raise Failed(f"POST {url} answered {answer}.")
    print(f"Filtered: {filtered}")


if __name__ == "__main__":
    try:
        main()
    except Failed as failure:
        sys.exit(f"FAILED: {failure}")
