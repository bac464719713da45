"""What may change after creation, and what belongs to the operator alone."""

from typing import Any

import pytest
from kubernetes.client import ApiException
from tests.operator.crds.luna_api import LunaApi, resource, said

STATUS: dict[str, Any] = {
    "observedGeneration": 3,
    "accountId": 42,
    "secretName": "acme-luna-key",
    "effective": {
        "quota": {"limit": 500, "window": "Lifetime"},
        "rateLimit": {"requestsPerSecond": 0.5, "burst": 100},
        "allowed": {"kalman": ["arima", "local_level"], "*": ["*"]},
        "allowedModels": ["arima", "local_level"],
        "limits": {"maxSeriesLength": 2000, "maxSeriesPerRequest": 10, "historyDays": 7},
    },
    "keys": [
        {
            "prefix": "luna_Ab3xK9Qz",
            "createdAt": "2026-11-21T09:00:00Z",
            "expiresAt": "2026-11-22T09:00:00Z",
            "state": "Retiring",
        },
        {"prefix": "luna_Bb3xK9Qz", "createdAt": "2026-11-21T09:00:00Z", "state": "Active"},
    ],
    "usage": {"limit": 500, "used": 17, "remaining": 483, "windowEndsAt": None, "asOf": "2026-11-21T09:00:00Z"},
    "conditions": [
        {
            "type": name,
            "status": "True",
            "observedGeneration": 3,
            "lastTransitionTime": "2026-11-21T09:00:00Z",
            "reason": "Synced",
            "message": "As specified.",
        }
        for name in (
            "Ready",
            "DatabaseSynced",
            "QuotaSynced",
            "KeyIssued",
            "Suspended",
            "Expired",
            "QuotaExhausted",
        )
    ],
}

SECRET_NAMES = [
    ({"secretName": "one"}, {"secretName": "two"}, 'write "one" again'),
    ({"secretName": "one"}, {"secretName": None}, 'write "one" again'),
    ({"secretName": "one"}, None, 'write "one" again'),
    ({}, {"secretName": "one"}, "leave it out again"),
    # Even if it says what the default is: the rule knows no names.
    ({}, {"secretName": "fixed-4-luna-key"}, "leave it out again"),
]


@pytest.mark.parametrize(("before", "after", "cure"), SECRET_NAMES, ids=str)
def test_the_secret_keeps_its_name(
    luna: LunaApi, request: pytest.FixtureRequest, before: dict[str, Any], after: dict[str, Any], cure: str
):
    name = f"fixed-{request.node.callspec.indices['before']}"
    luna.create(resource("Account", {"apiKey": before}, name=name))
    with pytest.raises(ApiException) as refused:
        luna.patch(name, {"spec": {"apiKey": after}})
    message = said(refused.value)
    assert "spec.apiKey.secretName: " in message
    assert "because programs mount the Secret by its name" in message
    assert cure in message
    assert "or make a new Account for the new name" in message


def test_the_secrets_name_is_not_lost_with_the_spec(luna: LunaApi):
    luna.create(resource("Account", {"apiKey": {"secretName": "one"}}, name="emptied"))
    with pytest.raises(ApiException) as refused:
        luna.replace(resource("Account", None, name="emptied"))
    assert 'write "one" again' in said(refused.value)


def test_everything_else_may_change_at_once(luna: LunaApi):
    luna.create(resource("Account", {"apiKey": {"secretName": "same"}}, name="changing"))
    spec = {
        "displayName": "Acme Corp",
        "tier": "pro",
        "quota": {"limit": 5, "window": "Day"},
        "rateLimit": {"requestsPerSecond": 1, "burst": 2},
        "allowedModels": ["arima"],
        "limits": {"maxSeriesLength": 7},
        "suspended": True,
        "expiresAt": "2027-01-31T00:00:00Z",
        "apiKey": {
            "secretName": "same",
            "rotationInterval": "0s",
            "rotationOverlap": "0s",
            "rotationRequestedAt": "2026-11-21T09:00:00Z",
        },
        "deletionPolicy": "Delete",
    }
    assert luna.patch("changing", {"spec": spec})["spec"] == spec
    cleared = luna.patch("changing", {"spec": {"tier": None, "expiresAt": None, "allowedModels": None}})["spec"]
    assert {"tier", "allowedModels"} & cleared.keys() == set()
    assert cleared.get("expiresAt") is None


def test_the_status_cannot_be_written_with_the_account(luna: LunaApi):
    created = luna.create(resource("Account", {}, name="boasting", status=STATUS))
    patched = luna.patch("boasting", {"spec": {"tier": "pro"}, "status": STATUS})
    assert "status" not in created
    assert "status" not in patched


def test_the_status_is_kept_as_the_operator_writes_it_and_changes_no_spec(luna: LunaApi):
    created = luna.create(resource("Account", {}, name="served"))
    patched = luna.patch("served", {"status": STATUS, "spec": {"tier": "pro"}}, status=True)
    # A merge patch drops what is null.
    usage = {name: value for name, value in STATUS["usage"].items() if value is not None}
    assert patched["status"] == STATUS | {"usage": usage}
    assert patched["spec"] == created["spec"]
    assert patched["metadata"]["generation"] == created["metadata"]["generation"]


def test_a_changed_spec_is_a_new_generation(luna: LunaApi):
    created = luna.create(resource("Account", {}, name="growing"))
    patched = luna.patch("growing", {"spec": {"quota": {"limit": 7}}})
    assert patched["metadata"]["generation"] == created["metadata"]["generation"] + 1


BAD_STATUSES = [
    ({"keys": [STATUS["keys"][0] | {"state": "Dead"}]}, 'status.keys[0].state: Unsupported value: "Dead"'),
    ({"keys": [STATUS["keys"][0]] * 2}, "status.keys[1]: Duplicate value"),
    ({"conditions": [STATUS["conditions"][0]] * 2}, "status.conditions[1]: Duplicate value"),
    ({"conditions": [STATUS["conditions"][0] | {"status": "Yes"}]}, "status.conditions[0].status: Unsupported value"),
    ({"conditions": [STATUS["conditions"][0] | {"reason": "a b"}]}, "status.conditions[0].reason"),
    ({"accountID": 42}, 'unknown field "status.accountID"'),
]


@pytest.mark.parametrize(("status", "refusal"), BAD_STATUSES, ids=lambda value: str(value)[:40])
def test_a_status_that_the_conventions_forbid_is_refused(
    luna: LunaApi, request: pytest.FixtureRequest, status: dict[str, Any], refusal: str
):
    name = f"odd-{request.node.callspec.indices['status']}"
    luna.create(resource("Account", {}, name=name))
    with pytest.raises(ApiException) as refused:
        luna.patch(name, {"status": status}, status=True)
    assert refusal in said(refused.value)
