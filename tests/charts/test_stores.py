"""Postgres and Valkey for development, and the Secrets by which others are named."""

from __future__ import annotations

from base64 import b64decode
from urllib.parse import urlsplit

import pytest
from tests.charts.rendering import (
    CASES,
    containers,
    environment,
    of_kind,
    only,
    parsed,
    pod_templates,
    rendered,
    template,
)

from luna_store.accounts.api_keys import Peppers


def secret(name: str) -> dict[str, str]:
    data: dict[str, str] = of_kind(rendered("default"), "Secret")[name]["data"]
    return {field: b64decode(value).decode() for field, value in data.items()}


def test_the_urls_lead_to_the_bundled_stores_with_their_passwords() -> None:
    services = of_kind(rendered("default"), "Service")
    ours = (("luna-database", "DATABASE_URL", "luna-postgres"), ("luna-redis", "REDIS_URL", "luna-valkey"))
    for name, url, service in ours:
        parts = urlsplit(secret(name)[url])
        assert parts.hostname == service
        assert parts.port == services[service]["spec"]["ports"][0]["port"]
        assert parts.password == secret(name)["password"]
    assert secret("luna-redis")["auth.conf"] == f"requirepass {secret('luna-redis')['password']}\n"


def test_passwords_and_peppers_are_long_and_never_the_same() -> None:
    again = of_kind(parsed(template()), "Secret")
    for name, field in (("luna-database", "password"), ("luna-redis", "password"), ("luna-peppers", "LUNA_PEPPERS")):
        assert len(secret(name)[field]) >= 32
        assert b64decode(again[name]["data"][field]).decode() != secret(name)[field]


def test_the_peppers_are_such_as_luna_takes() -> None:
    assert Peppers.parse(secret("luna-peppers")["LUNA_PEPPERS"])


@pytest.mark.parametrize("case", CASES)
def test_generated_secrets_outlive_the_release(case: str) -> None:
    for manifest in of_kind(rendered(case), "Secret").values():
        assert manifest["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_secrets_of_ones_own_take_the_place_of_generated_ones() -> None:
    manifests = rendered("production")
    assert not of_kind(manifests, "Secret")
    assert not of_kind(manifests, "StatefulSet")
    named = {
        (source["secretKeyRef"]["name"], source["secretKeyRef"]["key"])
        for _, pod in pod_templates(manifests)
        for container in containers(pod)
        for source in environment(container).values()
        if isinstance(source, dict) and "secretKeyRef" in source
    }
    assert named == {("luna-database", "DATABASE_URL"), ("luna-redis", "REDIS_URL"), ("luna-peppers", "LUNA_PEPPERS")}


def test_another_key_of_the_secret_can_be_named() -> None:
    operator = only(rendered("everything"), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert environment(operator)["LUNA_PEPPERS"]["secretKeyRef"] == {"name": "my-peppers", "key": "text"}


def test_client_secrets_of_openid_providers_reach_serving_alone() -> None:
    operator = only(rendered("everything"), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert "LUNA_CLIENT_SECRETS" not in environment(operator)
    ray = [
        environment(container)
        for kind, pod in pod_templates(rendered("everything"))
        for container in containers(pod)
        if "LUNA_CLIENT_SECRETS" in environment(container)
    ]
    assert ray
    for each in ray:
        assert each["LUNA_CLIENT_SECRETS"]["secretKeyRef"] == {"name": "my-clients", "key": "json"}


def test_valkey_forgets_no_quota() -> None:
    lines = of_kind(rendered("default"), "ConfigMap")["luna-valkey"]["data"]["valkey.conf"].splitlines()
    assert "maxmemory-policy noeviction" in lines
    assert "appendonly yes" in lines
    assert "appendfsync everysec" in lines


def test_the_stores_keep_their_data_unless_told_otherwise() -> None:
    claims = of_kind(rendered("everything"), "PersistentVolumeClaim")
    assert claims.keys() == {"everything-postgres", "everything-valkey"}
    for name, claim in claims.items():
        assert claim["spec"]["storageClassName"] == "fast"
        assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        pod = of_kind(rendered("everything"), "StatefulSet")[name]["spec"]["template"]["spec"]
        assert {"name": "data", "persistentVolumeClaim": {"claimName": name}} in pod["volumes"]
    assert not of_kind(rendered("dev"), "PersistentVolumeClaim")
