"""files/call_as_a_new_account.py, which `helm test` runs, against the real API server.

The operator is played by a thread, and Luna by a small server: what is under test is how the script behaves towards
both, with the rights that the chart gives it. That a real operator makes real keys is tested in tests/operator.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from base64 import b64encode
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from tests.charts.rendering import CHART, environment, parsed, template
from tests.cluster.kubernetes import CommandFailedError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.kubernetes import Kubernetes

SCRIPT = CHART / "files" / "call_as_a_new_account.py"
ACCOUNT, KEY = "luna-helm-test", "luna_12345678_key"


class Luna(HTTPServer):
    """Answers a call as Luna would, and remembers it."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.calls: list[tuple[str, str | None]] = []
        self.answer: tuple[int, Any] = (200, {"processed_results": [1120.0, 1140.9, 1072.5, 1072.5, 1104.8]})


class _Handler(BaseHTTPRequestHandler):
    server: Luna

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((self.path, self.headers["X-API-Key"]))
        status, body = self.server.answer
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def luna() -> Iterator[Luna]:
    with Luna() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


class Run:
    """The script, with its service account's own rights."""

    def __init__(self, cluster: Kubernetes, namespace: str, folder: Path, luna: Luna) -> None:
        self._cluster, self._namespace = cluster, namespace
        own = [m for m in parsed(template(namespace=namespace)) if m["metadata"]["name"] == "luna-test-account"]
        for manifest in own:
            if manifest["kind"] in {"ServiceAccount", "Role", "RoleBinding"}:
                cluster.kubectl("apply", "--server-side", "-n", namespace, "-f", "-", input=json.dumps(manifest))
        [pod] = [m for m in own if m["kind"] == "Pod"]
        given = environment(pod["spec"]["containers"][0])
        view = json.loads(cluster.kubectl("config", "view", "--minify", "--raw", "--flatten", "-o", "json"))
        token = cluster.kubectl("create", "token", "luna-test-account", "--namespace", namespace)
        (folder / "token").write_text(token.strip())
        authority = cluster.kubectl(
            "get", "configmap", "kube-root-ca.crt", "-n", namespace, "-o", "jsonpath={.data.ca\\.crt}"
        )
        (folder / "ca.crt").write_text(authority)
        server = urlsplit(view["clusters"][0]["cluster"]["server"])
        self._environment = given | {
            "CREDENTIALS": str(folder),
            "KUBERNETES_SERVICE_HOST": str(server.hostname),
            "KUBERNETES_SERVICE_PORT": str(server.port),
            "LUNA_URL": f"http://127.0.0.1:{luna.server_port}",
        }

    def start(self, *, timeout_s: int) -> subprocess.Popen[str]:
        """Start the script."""
        return subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            env=self._environment | {"TIMEOUT_S": str(timeout_s)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def make_ready(self) -> None:
        """Do what an operator does, as soon as there is an Account."""
        account = ("account", ACCOUNT, "--namespace", self._namespace)
        end = time.monotonic() + 60
        while not self.accounts():
            assert time.monotonic() < end, "the script made no Account"
            time.sleep(0.2)
        data = {name: b64encode(value.encode()).decode() for name, value in (("api-key", KEY), ("account-id", "42"))}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": f"{ACCOUNT}-luna-key"}, "data": data}
        self._cluster.kubectl("apply", "--server-side", "-n", self._namespace, "-f", "-", input=json.dumps(secret))
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        ready = {"type": "Ready", "status": "True", "reason": "Reconciled", "message": "", "lastTransitionTime": now}
        status = json.dumps({"status": {"conditions": [ready]}})
        self._cluster.kubectl("patch", *account, "--subresource=status", "--type=merge", "--patch", status)

    def accounts(self) -> list[dict[str, Any]]:
        """The Accounts of the namespace."""
        found: list[dict[str, Any]] = self._cluster.get("accounts.luna.dev", "--namespace", self._namespace)["items"]
        return found


@pytest.fixture
def script(luna_cluster: Kubernetes, namespace: str, tmp_path: Path, luna: Luna) -> Run:
    return Run(luna_cluster, namespace, tmp_path, luna)


def test_it_calls_with_the_key_of_its_account_and_leaves_nothing(script: Run, luna: Luna) -> None:
    process = script.start(timeout_s=60)
    script.make_ready()
    out, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (0, "")
    assert luna.calls == [("/api/v1/42/kalman", KEY)]
    assert "1072.5" in out
    assert script.accounts() == []


def test_what_luna_refuses_is_told_and_the_account_deleted(script: Run, luna: Luna) -> None:
    luna.answer = (503, {"title": "overloaded"})
    process = script.start(timeout_s=60)
    script.make_ready()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "503" in err
    assert "overloaded" in err
    assert script.accounts() == []


def test_without_an_operator_it_gives_up_in_time_and_deletes_the_account(script: Run, luna: Luna) -> None:
    _, err = (process := script.start(timeout_s=2)).communicate(timeout=60)
    assert process.returncode == 1
    assert "did not get ready" in err
    assert luna.calls == []
    assert script.accounts() == []


def test_its_account_may_read_no_other_secret(luna_cluster: Kubernetes, namespace: str, script: Run) -> None:
    user = f"--as=system:serviceaccount:{namespace}:luna-test-account"
    for forbidden in (("get", "secret", "luna-database"), ("get", "secrets"), ("delete", "account", "acme")):
        with pytest.raises(CommandFailedError, match="forbidden"):
            luna_cluster.kubectl(*forbidden, "--namespace", namespace, user)
