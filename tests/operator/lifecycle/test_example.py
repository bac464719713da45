"""The first thing that anybody does: `kubectl apply` an example, read its Secret, call."""

from __future__ import annotations

import json
from base64 import b64decode
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import pytest
import yaml
from tests.operator.lifecycle.team import Team, refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.operator.lifecycle.installation import Installation

EXAMPLES = Path(__file__).resolve().parents[3] / "crds" / "examples"
EXAMPLED = sorted(p.name for p in EXAMPLES.glob("account*.yaml") if p.name != "account-suspended.yaml")


@pytest.fixture(scope="module")
def example_tiers(installation: Installation) -> Iterator[None]:
    """The Tiers that the examples name."""
    installation.cluster.kubectl("apply", "-f", EXAMPLES / "tier.yaml")
    yield
    installation.cluster.kubectl("delete", "-f", EXAMPLES / "tier.yaml")


@pytest.mark.parametrize("example", EXAMPLED)
@pytest.mark.usefixtures("example_tiers")
def test_an_applied_example_becomes_ready_and_its_key_opens_a_running_ingress(
    installation: Installation, namespace: str, example: str
) -> None:
    kubectl = installation.cluster.kubectl
    body = yaml.safe_load((EXAMPLES / example).read_text())
    # Some name one, for which a test has no right.
    body["metadata"].pop("namespace", None)
    kubectl("apply", "--namespace", namespace, "-f", "-", input=json.dumps(body))
    account = f"account/{body['metadata']['name']}"
    kubectl("wait", "--namespace", namespace, "--for=condition=Ready", "--timeout=30s", account)
    secret_name = kubectl("get", "--namespace", namespace, account, "-o", "jsonpath={.status.secretName}")
    secret = installation.cluster.get("secret", "--namespace", namespace, secret_name)
    access = {name: b64decode(value).decode() for name, value in secret["data"].items()}
    answer = httpx.post(
        f"{access['url']}/api/v1/{access['account-id']}/kalman",
        headers={"X-API-Key": access["api-key"]},
        json={"results": [1.0, None, 2.0]},
        timeout=60,
    )
    assert answer.status_code == 200, answer.text
    assert len(answer.json()["processed_results"]) == 3
    assert Team(installation, namespace, body["metadata"]["name"]).used() == 1


def test_the_suspended_example_has_a_key_that_is_refused_until_it_is_resumed(
    installation: Installation, namespace: str
) -> None:
    kubectl = installation.cluster.kubectl
    kubectl("apply", "--namespace", namespace, "-f", EXAMPLES / "account-suspended.yaml")
    team = Team(installation, namespace, "late-payer")
    team.condition("Ready", "False", "Suspended")
    assert refused(team.call()) == (403, "suspended")
    kubectl(
        "patch", "account/late-payer", "--namespace", namespace, "--type=merge", "-p", '{"spec":{"suspended":false}}'
    )
    team.ready()
    assert team.call().status_code == 200
