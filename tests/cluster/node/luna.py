"""Luna on a cluster: the chart, an Account, a first call. The same on the node and on a developer's own cluster."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.cluster.kubernetes import CommandFailedError
from tests.cluster.node.shell import NodeError
from tests.cluster.steps import step

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.cluster.kubernetes import Kubernetes

ROOT = Path(__file__).resolve().parents[3]
NAMESPACE = "luna"
RELEASE = "luna"
CHART = ROOT / "charts" / "luna"
ACCOUNT = "quickstart"
# Images are unpacked, Ray starts, models are compiled: a minute or two where nothing else runs.
_READY_S = 1200.0
_ACCOUNT_S = 60.0
_BODY = '{"results": [1120, 1160, 963, null, 1160]}'


def install(cluster: Kubernetes, options: Sequence[str] = ()) -> None:
    """Install or upgrade the chart, wait until Luna is Ready and an Account has its key.

    Args:
        cluster: where to; KubeRay's operator runs there.
        options: further arguments of `helm upgrade`, after `--values charts/luna/values-dev.yaml`.

    Raises:
        CommandFailedError: helm or kubectl refused.
        NodeError: Luna is not Ready in time.
    """
    here = ("--namespace", NAMESPACE)
    with step("The chart"):
        cluster.apply_crds(*sorted((ROOT / "crds").glob("*.yaml")))
        values = ("--values", CHART / "values-dev.yaml", *options)
        cluster.helm("upgrade", "--install", RELEASE, CHART, *here, "--create-namespace", *values)
    with step("Luna is Ready") as shown:
        begun = time.monotonic()
        while missing := not_ready(cluster):
            if time.monotonic() - begun > _READY_S:
                raise NodeError(f"Luna is not Ready after {_READY_S:.0f} s. Missing: {missing}\n{_pods(cluster)}")
            shown.tell(f"waiting for {missing}")
            time.sleep(1.0)
    with step(f"The Account {ACCOUNT}"):
        cluster.kubectl("apply", "--filename", ROOT / "crds" / "examples" / "account-minimal.yaml", *here)
        cluster.kubectl("wait", f"account/{ACCOUNT}", "--for=condition=Ready", f"--timeout={_ACCOUNT_S:.0f}s", *here)


def uninstall(cluster: Kubernetes) -> None:
    """Remove the Account and the release. Kinds, other Accounts and the Secrets that helm keeps stay.

    Raises:
        CommandFailedError: helm or kubectl refused.
    """
    here = ("--namespace", NAMESPACE)
    # The operator has to let it go: after the release nobody would.
    cluster.kubectl("delete", "accounts.luna.dev", ACCOUNT, "--ignore-not-found", "--timeout=60s", *here)
    cluster.helm("uninstall", RELEASE, "--ignore-not-found", *here)


def key(cluster: Kubernetes, account: str = ACCOUNT) -> tuple[str, str]:
    """Return the id and the API key of an Account that is Ready."""
    secret = cluster.get("secret", key_secret(account), "--namespace", NAMESPACE)["data"]
    account_id, api_key = (base64.b64decode(secret[name]).decode() for name in ("account-id", "api-key"))
    return account_id, api_key


def key_secret(account: str) -> str:
    """Return the name of the Secret with an Account's key, unless the Account names another."""
    return f"{account}-luna-key"


def curl(url: str, account_id: str, api_key: str) -> str:
    """Return the command line of a first call."""
    return (
        f"curl -s '{url}/api/v1/{account_id}/kalman' -H 'X-API-Key: {api_key}' "
        f"-H 'Content-Type: application/json' -d '{_BODY}'"
    )


def service_address(cluster: Kubernetes) -> str:
    """Return the URL of Luna's Service as pods, and the node itself, reach it."""
    service = cluster.get("service", f"{RELEASE}-serve", "--namespace", NAMESPACE)
    return f"http://{service['spec']['clusterIP']}:8000"


def not_ready(cluster: Kubernetes) -> str:
    """Return the name of what is not Ready yet; empty once all is."""
    here = ("--namespace", NAMESPACE)
    try:
        service = cluster.get("rayservice", RELEASE, *here)
        operator = cluster.get("deployment", f"{RELEASE}-operator", *here)
    except CommandFailedError as error:
        return str(error).rpartition("\n")[2]
    conditions = {found["type"]: found["status"] for found in service.get("status", {}).get("conditions", [])}
    observed = service.get("status", {}).get("observedGeneration") == service["metadata"]["generation"]
    if conditions.get("Ready") != "True" or conditions.get("UpgradeInProgress") == "True" or not observed:
        return "RayService"
    status = operator.get("status", {})
    wanted = operator["spec"]["replicas"]
    current = status.get("observedGeneration") == operator["metadata"]["generation"]
    if not current or status.get("updatedReplicas", 0) < wanted or status.get("availableReplicas", 0) < wanted:
        return "operator"
    return ""


def _pods(cluster: Kubernetes) -> str:
    pods = json.loads(cluster.kubectl("get", "pods", "--namespace", NAMESPACE, "--output", "json"))["items"]
    return "\n".join(f"  {pod['metadata']['name']}: {pod['status'].get('phase')}" for pod in pods)
