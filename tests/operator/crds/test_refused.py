"""Every bad spec is refused by the API server, with a message that names the field and says what to write instead."""

from typing import Any

import pytest
from tests.cluster.kubernetes import Kubernetes
from tests.operator.crds.luna_api import LunaApi, resource

INT32 = 2**31 - 1
WHOLE = "must be of type integer"
LIST_OF_MODELS = [f"model_{number}" for number in range(65)]
DURATION = 'write "2160h" for 90 days'
OVERLAP = 'write "24h" for a day'
TIME = 'must be a time with its zone, from 2000 to 9998: write "2027-01-31T00:00:00Z", or null'
REQUEST = 'write the present time as "2026-11-21T09:00:00Z", or null for no request'
SECRET = 'for example "acme-luna-key"'
ADDRESS = 'must be an email address: write for example "ada@example.com"'
MODEL = 'must be "*" or a kind of model: lower-case letters, digits and "_", for example "local_level"'

# A spec, the field that is wrong, and the cure.
IN_BOTH_KINDS: list[tuple[dict[str, Any], str, str]] = [
    ({"quota": {"limit": -1}}, "spec.quota.limit", "should be greater than or equal to 0"),
    ({"quota": {"limit": INT32 + 1}}, "spec.quota.limit", f"should be less than or equal to {INT32}"),
    ({"quota": {"limit": "500"}}, "spec.quota.limit", WHOLE),
    ({"quota": {"limit": 1.5}}, "spec.quota.limit", WHOLE),
    ({"quota": {"window": "Week"}}, "spec.quota.window", 'supported values: "Lifetime", "Day", "Month"'),
    ({"quota": {"limits": 5}}, "spec.quota.limits", "unknown field"),
    ({"quota": 500}, "spec.quota", "must be of type object"),
    ({"rateLimit": {"requestsPerSecond": 0}}, "spec.rateLimit.requestsPerSecond", "must be from 0.001"),
    ({"rateLimit": {"requestsPerSecond": 0.0009}}, "spec.rateLimit.requestsPerSecond", "must be from 0.001"),
    ({"rateLimit": {"requestsPerSecond": 10**6 + 1}}, "spec.rateLimit.requestsPerSecond", "to 1000000"),
    ({"rateLimit": {"requestsPerSecond": "50"}}, "spec.rateLimit.requestsPerSecond", "must be of type number"),
    ({"rateLimit": {"burst": 0}}, "spec.rateLimit.burst", "should be greater than or equal to 1"),
    ({"rateLimit": {"burst": 10**6 + 1}}, "spec.rateLimit.burst", "should be less than or equal to"),
    ({"rateLimit": {"burst": 2.5}}, "spec.rateLimit.burst", WHOLE),
    (
        {"rateLimit": {"requestsPerSecond": 50, "burst": 49}},
        "spec.rateLimit.burst",
        "must be at least requestsPerSecond, or that rate is never reached: write a larger burst or a lower",
    ),
    ({"rateLimit": {"requestsPerSecond": 1.5, "burst": 1}}, "spec.rateLimit.burst", "write a larger burst"),
    ({"allowedModels": []}, "spec.allowedModels", 'must name at least one model: write ["*"] for all'),
    ({"allowedModels": ["*", "arima"]}, "spec.allowedModels", 'write ["*"], or the names without "*"'),
    ({"allowedModels": ["arima", "arima"]}, "spec.allowedModels[1]", 'Duplicate value: "arima"'),
    ({"allowedModels": ["local-level"]}, "spec.allowedModels[0]", MODEL),
    ({"allowedModels": ["arima", "ARIMA"]}, "spec.allowedModels[1]", MODEL),
    ({"allowedModels": ["2sls"]}, "spec.allowedModels[0]", MODEL),
    ({"allowedModels": ["arima\n"]}, "spec.allowedModels[0]", MODEL),
    ({"allowedModels": [""]}, "spec.allowedModels[0]", MODEL),
    ({"allowedModels": ["a" * 64]}, "spec.allowedModels[0]", "may not be more than 63"),
    ({"allowedModels": LIST_OF_MODELS}, "spec.allowedModels", "must have at most 64 items"),
    ({"allowedModels": "*"}, "spec.allowedModels", "must be of type array"),
    ({"allowed": {}}, "spec.allowed", 'must name at least one capability: write {"*": ["*"]} for all'),
    ({"allowed": {"Kalman": ["*"]}}, "spec.allowed", 'lower-case letters, digits and "_"'),
    ({"allowed": {"*": ["arima"]}}, "spec.allowed", 'write "*": ["*"], or leave "*" out'),
    ({"allowed": {"kalman": ["*", "arima"]}}, "spec.allowed[kalman]", 'write ["*"], or the names without "*"'),
    ({"allowed": {"kalman": ["ARIMA"]}}, "spec.allowed[kalman][0]", 'must be "*" or a name'),
    ({"allowed": {"kalman": ["arima", "arima"]}}, "spec.allowed[kalman][1]", 'Duplicate value: "arima"'),
    ({"allowed": {"kalman": "*"}}, "spec.allowed.kalman", "must be of type array"),
    (
        {"allowed": {"kalman": ["arima"]}, "allowedModels": ["arima"]},
        "spec.allowedModels",
        "leave allowedModels out, and write the models in allowed.kalman",
    ),
    ({"limits": {"maxSeriesLength": 0}}, "spec.limits.maxSeriesLength", "should be greater than or equal to 1"),
    ({"limits": {"maxSeriesLength": INT32 + 1}}, "spec.limits.maxSeriesLength", f"less than or equal to {INT32}"),
    ({"limits": {"maxSeriesPerRequest": 0}}, "spec.limits.maxSeriesPerRequest", "greater than or equal to 1"),
    ({"limits": {"maxSeriesPerRequest": INT32 + 1}}, "spec.limits.maxSeriesPerRequest", f"or equal to {INT32}"),
    ({"limits": {"historyDays": 0}}, "spec.limits.historyDays", "should be greater than or equal to 1"),
    ({"limits": {"historyDays": 36501}}, "spec.limits.historyDays", "should be less than or equal to 36500"),
    ({"limits": {"maxSeries": 5}}, "spec.limits.maxSeries", "unknown field"),
    ({"quotas": {"limit": 5}}, "spec.quotas", "unknown field"),
]

IN_ACCOUNTS: list[tuple[dict[str, Any], str, str]] = [
    ({"displayName": "A" * 201}, "spec.displayName", "may not be more than 200"),
    ({"displayName": "Acme\nCorp"}, "spec.displayName", 'must be one line without control characters, for example "Ac'),
    ({"displayName": "Acme\0"}, "spec.displayName", "must be one line without control characters"),
    ({"displayName": 7}, "spec.displayName", "must be of type string"),
    ({"tier": "Pro"}, "spec.tier", 'lower-case letters, digits and "-", for example "pro" (`kubectl get tiers` lists'),
    ({"tier": ""}, "spec.tier", "leave the field out for no Tier"),
    ({"tier": "-pro"}, "spec.tier", "must be the name of a Tier"),
    ({"tier": "pro.eu"}, "spec.tier", "must be the name of a Tier"),
    ({"tier": "p" * 64}, "spec.tier", "may not be more than 63"),
    ({"members": "ada@example.com"}, "spec.members", "must be of type array"),
    ({"members": ["ada@example.com"]}, "spec.members[0]", "must be of type object"),
    ({"members": [{"role": "admin"}]}, "spec.members[0].email", "Required value"),
    ({"members": [{"email": "ada"}]}, "spec.members[0].email", ADDRESS),
    ({"members": [{"email": "ada@"}]}, "spec.members[0].email", ADDRESS),
    ({"members": [{"email": "@example.com"}]}, "spec.members[0].email", ADDRESS),
    ({"members": [{"email": "ada@b@example.com"}]}, "spec.members[0].email", ADDRESS),
    ({"members": [{"email": "ada lovelace@example.com"}]}, "spec.members[0].email", ADDRESS),
    ({"members": [{"email": "ada@example.com\n"}]}, "spec.members[0].email", ADDRESS),
    ({"members": [{"email": "a" * 243 + "@example.com"}]}, "spec.members[0].email", "may not be more than 254"),
    ({"members": [{"email": "Ada@Example.com"}]}, "spec.members[0].email", 'must be in lower case: write "ada@'),
    ({"members": [{"email": "ada@example.com", "role": "owner"}]}, "spec.members[0].role", '"viewer", "member", "ad'),
    ({"members": [{"email": "ada@example.com", "rôle": "admin"}]}, "spec.members[0].rôle", "unknown field"),
    (
        {"members": [{"email": "ada@example.com"}, {"email": "ada@example.com", "role": "admin"}]},
        "spec.members[1]",
        'Duplicate value: {"email":"ada@example.com"}',
    ),
    (
        {"members": [{"email": f"p{i}@example.com"} for i in range(1001)]},
        "spec.members",
        "must have at most 1000",
    ),
    ({"suspended": "yes"}, "spec.suspended", "must be of type boolean"),
    ({"deletionPolicy": "Keep"}, "spec.deletionPolicy", 'supported values: "Retain", "Delete"'),
    ({"expiresAt": "tomorrow"}, "spec.expiresAt", TIME),
    ({"expiresAt": ""}, "spec.expiresAt", TIME),
    ({"expiresAt": "2027-01-31"}, "spec.expiresAt", TIME),
    ({"expiresAt": "2027-01-31T00:00:00"}, "spec.expiresAt", TIME),
    ({"expiresAt": "2027-01-31 00:00:00Z"}, "spec.expiresAt", TIME),
    ({"expiresAt": "2027-01-31T0:00:00Z"}, "spec.expiresAt", TIME),
    ({"expiresAt": "2027-01-31T00:00:00,5Z"}, "spec.expiresAt", TIME),
    ({"expiresAt": "2027-01-31T00:00:00+24:00"}, "spec.expiresAt", TIME),
    ({"expiresAt": "2027-02-30T00:00:00Z"}, "spec.expiresAt", TIME),
    ({"expiresAt": "2027-01-31T23:59:60Z"}, "spec.expiresAt", TIME),
    ({"expiresAt": "1999-12-31T23:59:59Z"}, "spec.expiresAt", TIME),
    ({"expiresAt": "9999-01-01T00:00:00Z"}, "spec.expiresAt", TIME),
    ({"expiresAt": "9999-12-31T23:00:00-12:00"}, "spec.expiresAt", TIME),
    ({"expiresAt": 1801353600}, "spec.expiresAt", "must be of type string"),
    ({"apiKey": {"rotationRequestedAt": "now"}}, "spec.apiKey.rotationRequestedAt", REQUEST),
    ({"apiKey": {"rotationRequestedAt": "2026-11-21T09:00"}}, "spec.apiKey.rotationRequestedAt", REQUEST),
    ({"apiKey": {"secretName": ""}}, "spec.apiKey.secretName", SECRET),
    ({"apiKey": {"secretName": "Acme_Key"}}, "spec.apiKey.secretName", SECRET),
    ({"apiKey": {"secretName": "acme."}}, "spec.apiKey.secretName", SECRET),
    ({"apiKey": {"secretName": "acme..key"}}, "spec.apiKey.secretName", SECRET),
    ({"apiKey": {"secretName": "a" * 254}}, "spec.apiKey.secretName", "may not be more than 253"),
    ({"apiKey": {"secretname": "acme"}}, "spec.apiKey.secretname", "unknown field"),
    ({"apiKey": {"rotationInterval": "90d"}}, "spec.apiKey.rotationInterval", DURATION),
    ({"apiKey": {"rotationInterval": "0"}}, "spec.apiKey.rotationInterval", 'or "0s" for never'),
    ({"apiKey": {"rotationInterval": ""}}, "spec.apiKey.rotationInterval", 'or "0s" for never'),
    ({"apiKey": {"rotationInterval": "-1h"}}, "spec.apiKey.rotationInterval", DURATION),
    ({"apiKey": {"rotationInterval": "1.5h"}}, "spec.apiKey.rotationInterval", DURATION),
    ({"apiKey": {"rotationInterval": "30m36h"}}, "spec.apiKey.rotationInterval", DURATION),
    ({"apiKey": {"rotationInterval": "59s", "rotationOverlap": "0s"}}, "spec.apiKey.rotationInterval", 'from "1m"'),
    ({"apiKey": {"rotationInterval": "87600h1s"}}, "spec.apiKey.rotationInterval", 'to "87600h" (10 years)'),
    ({"apiKey": {"rotationInterval": "9999999h"}}, "spec.apiKey.rotationInterval", 'to "87600h" (10 years)'),
    ({"apiKey": {"rotationInterval": 2160}}, "spec.apiKey.rotationInterval", "must be of type string"),
    ({"apiKey": {"rotationOverlap": "1d"}}, "spec.apiKey.rotationOverlap", OVERLAP),
    ({"apiKey": {"rotationOverlap": "-1h"}}, "spec.apiKey.rotationOverlap", OVERLAP),
    ({"apiKey": {"rotationOverlap": ""}}, "spec.apiKey.rotationOverlap", 'or "0s" to end the old key at once'),
    (
        {"apiKey": {"rotationInterval": "0s", "rotationOverlap": "87601h"}},
        "spec.apiKey.rotationOverlap",
        'from "0s" to "87600h" (10 years)',
    ),
    (
        {"apiKey": {"rotationInterval": "1h", "rotationOverlap": "60m"}},
        "spec.apiKey.rotationOverlap",
        "must be shorter than rotationInterval (1h)",
    ),
    (
        # The default overlap, which is not in the manifest.
        {"apiKey": {"rotationInterval": "12h"}},
        "spec.apiKey.rotationOverlap",
        "write a shorter rotationOverlap or a longer rotationInterval",
    ),
    ({"apiKey": {"rotationOverlap": "2160h"}}, "spec.apiKey.rotationOverlap", "rotationInterval (2160h)"),
    ({"apikey": {}}, "spec.apikey", "unknown field"),
]

IN_TIERS: list[tuple[dict[str, Any], str, str]] = [
    ({"description": "A" * 1001}, "spec.description", "may not be more than 1000"),
    ({"suspended": True}, "spec.suspended", "unknown field"),
    ({"tier": "free"}, "spec.tier", "unknown field"),
]

REFUSED = [
    *((kind, *case) for case in IN_BOTH_KINDS for kind in ("Account", "Tier")),
    *(("Account", *case) for case in IN_ACCOUNTS),
    *(("Tier", *case) for case in IN_TIERS),
]


@pytest.mark.parametrize(("kind", "spec", "field", "cure"), REFUSED, ids=lambda value: str(value)[:60])
def test_a_bad_spec_is_refused_with_its_field_and_its_cure(
    luna: LunaApi, kind: str, spec: dict[str, Any], field: str, cure: str
):
    refusal = luna.refusal(resource(kind, spec))
    # With its colon or quote: `spec.quota` alone would be found in `spec.quota.limit`.
    assert f"{field}: " in refusal or f'"{field}"' in refusal
    assert cure in refusal


def test_one_mistake_is_told_once(luna: LunaApi):
    refusal = luna.refusal(resource("Account", {"apiKey": {"rotationInterval": ""}}))
    assert refusal.count("Invalid value") == 1


def test_all_mistakes_are_told_at_once(luna: LunaApi):
    spec = {"tier": "Pro", "quota": {"limit": -1}, "allowedModels": [], "expiresAt": "soon"}
    refusal = luna.refusal(resource("Account", spec))
    assert [
        field for field in ("tier", "quota.limit", "allowedModels", "expiresAt") if f"spec.{field}: " in refusal
    ] == [
        "tier",
        "quota.limit",
        "allowedModels",
        "expiresAt",
    ]


def test_a_name_that_is_too_long_for_its_secret_is_refused(luna: LunaApi):
    refusal = luna.refusal(resource("Account", {}, name="a" * 245))
    assert "metadata.name: " in refusal
    assert "write a name of at most 244 characters, or name the Secret in spec.apiKey.secretName" in refusal


@pytest.mark.parametrize("name", ["pro.eu", "p" * 64])
def test_a_tier_that_no_account_could_name_is_refused(luna: LunaApi, name: str):
    refusal = luna.refusal(resource("Tier", {}, name=name))
    assert "metadata.name: " in refusal
    assert 'at most 63 lower-case letters, digits and "-"' in refusal


def test_a_misspelt_field_of_a_lenient_client_is_dropped(luna: LunaApi):
    created = luna.create(resource("Account", {"quota": {"limt": 5}}, name="lenient"), validation="Ignore")
    assert created["spec"]["quota"] == {}


def test_kubectl_refuses_a_misspelt_field(luna_cluster: Kubernetes, luna: LunaApi):
    text = "{apiVersion: luna.dev/v1, kind: Account, metadata: {name: typo}, spec: {quota: {limt: 5}}}"
    refusal = luna_cluster.kubectl("apply", "-n", luna.namespace, "-f", "-", input=text, check=False)
    assert 'unknown field "spec.quota.limt"' in refusal
