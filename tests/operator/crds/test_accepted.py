"""What the API server accepts, and what it makes of it: defaults as documented, and nothing else."""

from typing import Any

import pytest
from tests.cluster.kubernetes import Kubernetes
from tests.operator.crds.conftest import CRDS
from tests.operator.crds.luna_api import LunaApi, resource

from luna_operator.resources.account import AccountResource

DEFAULTS = {
    "suspended": False,
    "apiKey": {"rotationInterval": "2160h", "rotationOverlap": "24h"},
    "deletionPolicy": "Retain",
}
# As the public contract of the platform writes it.
CONTRACT = """
apiVersion: luna.dev/v1
kind: Account
metadata: {name: acme, namespace: team-acme}
spec:
  displayName: Acme Corp
  tier: pro
  quota: {limit: 500, window: Lifetime}
  rateLimit: {requestsPerSecond: 50, burst: 100}
  allowedModels: ["*"]
  suspended: false
  expiresAt: null
  apiKey: {secretName: acme-luna-key, rotationInterval: 2160h, rotationOverlap: 24h, rotationRequestedAt: null}
  deletionPolicy: Retain
"""
LONG_DOMAIN = ".".join(["d" * 63] * 3 + ["d" * 50])
EVERY_FIELD_AT_ITS_LARGEST = {
    "displayName": "é" * 200,
    "tier": "p" * 63,
    "quota": {"limit": 2**31 - 1, "window": "Month"},
    "rateLimit": {"requestsPerSecond": 1000000, "burst": 1000000},
    "allowedModels": [f"m{number:02}".ljust(63, "x") for number in range(64)],
    "limits": {"maxSeriesLength": 2**31 - 1, "maxSeriesPerRequest": 2**31 - 1, "historyDays": 36500},
    "members": [{"email": f"p{number:03}@{LONG_DOMAIN}", "role": "viewer"} for number in range(1000)],
    "suspended": True,
    "expiresAt": "9998-12-31T23:59:59.999999999+00:00",
    "apiKey": {
        "secretName": ".".join(["s" * 63] * 3 + ["s" * 61]),
        "rotationInterval": "87600h",
        "rotationOverlap": "87599h59m59s",
        "rotationRequestedAt": "2026-11-21T09:00:00-23:59",
    },
    "deletionPolicy": "Delete",
}


@pytest.mark.parametrize("spec", [None, {}, {"apiKey": {}}, {"apiKey": None}, {"suspended": None}], ids=str)
def test_an_account_that_says_nothing_gets_the_defaults_and_nothing_that_a_tier_may_give(luna: LunaApi, spec: Any):
    assert luna.dry_run(resource("Account", spec))["spec"] == DEFAULTS


@pytest.mark.parametrize("spec", [None, {}], ids=str)
def test_a_tier_gets_no_defaults(luna: LunaApi, spec: Any):
    assert luna.dry_run(resource("Tier", spec))["spec"] == {}


@pytest.mark.parametrize("part", ["quota", "rateLimit", "limits"])
@pytest.mark.parametrize("kind", ["Account", "Tier"])
def test_an_object_without_fields_stays_without(luna: LunaApi, kind: str, part: str):
    assert luna.dry_run(resource(kind, {part: {}}))["spec"][part] == {}


ACCEPTED: list[dict[str, Any]] = [
    EVERY_FIELD_AT_ITS_LARGEST,
    {"quota": {"limit": 0}},
    {"quota": {"window": "Day"}},
    {"rateLimit": {"requestsPerSecond": 0.001, "burst": 1}},
    {"rateLimit": {"requestsPerSecond": 0.001}},
    {"rateLimit": {"requestsPerSecond": 100, "burst": 100}},
    # Each alone: the other one may come from the Tier.
    {"rateLimit": {"requestsPerSecond": 5000}},
    {"rateLimit": {"burst": 1}},
    {"allowedModels": ["*"]},
    {"allowedModels": ["local_level", "a_kind_of_next_year"]},
    {"allowed": {"*": ["*"]}},
    {"allowed": {"kalman": ["local_level"], "a_capability_of_next_year": ["*"], "indicators": []}},
    {"allowed": {"indicators": ["sma"]}, "allowedModels": ["arima"]},
    {"allowed": {f"c{i:02}": [f"m{number:03}".ljust(63, "x") for number in range(128)] for i in range(32)}},
    {"limits": {"maxSeriesLength": 1, "maxSeriesPerRequest": 1, "historyDays": 1}},
    {"displayName": ""},
    {"displayName": "Ångström & Söhne (東京)"},
    {"tier": "p"},
    {"expiresAt": "2000-01-01T00:00:00Z"},
    {"expiresAt": "2027-01-31T00:00:00+05:45"},
    {"expiresAt": "2028-02-29T12:30:00.5Z"},
    {"apiKey": {"secretName": "a"}},
    {"apiKey": {"rotationInterval": "0s"}},
    {"apiKey": {"rotationInterval": "0h", "rotationOverlap": "87600h"}},
    {"apiKey": {"rotationInterval": "1m", "rotationOverlap": "0s"}},
    {"apiKey": {"rotationInterval": "60s", "rotationOverlap": "59s"}},
    {"apiKey": {"rotationInterval": "1h30m", "rotationOverlap": "89m59s"}},
    {"apiKey": {"rotationInterval": "36h30m15s"}},
    {"apiKey": {"rotationInterval": "5256000m"}},
    {"apiKey": {"rotationInterval": "315360000s"}},
]


@pytest.mark.parametrize("spec", ACCEPTED, ids=lambda spec: str(spec)[:60])
def test_what_is_accepted_is_stored_as_written_and_the_operator_can_read_it(luna: LunaApi, spec: dict[str, Any]):
    stored = luna.dry_run(resource("Account", spec))
    expected = DEFAULTS | spec | {"apiKey": DEFAULTS["apiKey"] | spec.get("apiKey", {})}
    assert stored["spec"] == expected
    stored["metadata"]["resourceVersion"] = "1"
    account = AccountResource.parse(stored)
    assert account.api_key.secret_name == expected["apiKey"].get("secretName", "acme-luna-key")
    assert (account.api_key.rotation_interval is None) == (expected["apiKey"]["rotationInterval"] in {"0s", "0h"})


def test_a_long_name_is_accepted_with_a_secret_of_another_name(luna: LunaApi):
    assert luna.dry_run(resource("Account", {}, name="a" * 244))
    assert luna.dry_run(resource("Account", {"apiKey": {"secretName": "short"}}, name="a" * 253))


@pytest.mark.parametrize("how", [["--server-side"], []], ids=["server-side", "client-side"])
def test_the_contracts_account_is_applied_as_it_stands(luna_cluster: Kubernetes, how: list[str]):
    with luna_cluster.namespace("contract") as namespace:
        text = CONTRACT.replace("team-acme", namespace)
        luna_cluster.kubectl("apply", *how, "-f", "-", input=text)
        again = luna_cluster.kubectl("apply", *how, "-f", "-", input=text)
        applied = luna_cluster.get("account", "acme", "-n", namespace)
    spec = applied["spec"]
    # Client-side apply omits a null.
    assert spec.get("expiresAt") is None
    assert spec["apiKey"].get("rotationRequestedAt") is None
    assert spec["quota"] == {"limit": 500, "window": "Lifetime"}
    assert again.split()[-1] == ("serverside-applied" if how else "unchanged")
    assert applied["metadata"]["generation"] == 1


def test_the_examples_are_applied_as_they_stand(luna_cluster: Kubernetes):
    examples = sorted(CRDS.glob("examples/*.yaml"))
    text = "\n---\n".join(path.read_text() for path in examples)
    with luna_cluster.namespace("examples") as namespace:
        here = ("-n", namespace, "-f", "-")
        applied = luna_cluster.kubectl("apply", *here, input=text.replace("team-acme", namespace))
        tiers = ("free", "pro", "premium", "enterprise")
        luna_cluster.kubectl("delete", "tiers", *tiers)
        accounts = luna_cluster.get("accounts", "-n", namespace)["items"]
    assert applied.count("created") == text.count("\nkind: ") == len(accounts) + len(tiers)
    assert {account["spec"].get("tier") for account in accounts} == {None, "pro"}


def test_the_full_example_leaves_no_field_of_the_spec_out(luna: LunaApi, crd: dict[str, Any]):
    kind = crd["spec"]["names"]["kind"]
    text = (CRDS / "examples" / f"{kind.lower()}.yaml").read_text()
    spec = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    named = [name for name in spec if f"\n  {name}: " in text or f"\n  {name}:\n" in text]
    assert named == list(spec)
    inner = [name for part in spec.values() for name in part.get("properties", {})]
    assert [name for name in inner if f"\n    {name}: " not in text] == []
