"""What pods and the operator may do: as little as they need."""

from __future__ import annotations

from base64 import b64decode
from typing import Any

import pytest
from tests.charts.rendering import CASES, containers, environment, is_hook, of_kind, only, pod_templates, rendered

# What the operator does; see operator/luna_operator/kube.
RIGHTS = {
    ("luna.dev", resource, verb) for resource in ("accounts", "tiers") for verb in ("get", "list", "watch", "patch")
}
RIGHTS |= {("luna.dev", f"{resource}/status", verb) for resource in ("accounts", "tiers") for verb in ("get", "patch")}
RIGHTS |= {("luna.dev", "accounts/finalizers", "update")}
RIGHTS |= {("", "secrets", verb) for verb in ("get", "list", "create", "patch")}
RIGHTS |= {("events.k8s.io", "events", "create")}

WITH_A_TOKEN = {"Deployment/{}-operator", "Pod/{}-test-account"}


@pytest.mark.parametrize("case", CASES)
def test_every_container_is_locked_down(case: str) -> None:
    for name, pod in pod_templates(rendered(case)):
        outer = pod["spec"]["securityContext"]
        assert outer["runAsNonRoot"] is True, name
        assert outer["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert outer.get("runAsUser", 1) > 0
        for container in containers(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
                "seccompProfile": {"type": "RuntimeDefault"},
            }, f"{name}/{container['name']}"
        for host in ("hostNetwork", "hostPID", "hostIPC"):
            assert host not in pod["spec"]
        assert not any("hostPath" in volume for volume in pod["spec"].get("volumes", ()))


@pytest.mark.parametrize("case", CASES)
def test_rays_autoscaler_is_locked_down_as_well(case: str) -> None:
    cluster = only(rendered(case), "RayService")["spec"]["rayClusterConfig"]
    if cluster["enableInTreeAutoscaling"]:
        own = containers(cluster["headGroupSpec"]["template"])[0]["securityContext"]
        assert cluster["autoscalerOptions"]["securityContext"] == own


@pytest.mark.parametrize("case", CASES)
def test_a_token_of_the_api_server_is_given_to_those_alone_who_speak_to_it(case: str) -> None:
    manifests = rendered(case)
    fullname = only(manifests, "RayService")["metadata"]["name"]
    mounted = {name for name, pod in pod_templates(manifests) if pod["spec"]["automountServiceAccountToken"]}
    assert mounted == {name.format(fullname) for name in WITH_A_TOKEN}
    assert not any(account["automountServiceAccountToken"] for account in of_kind(manifests, "ServiceAccount").values())


def test_of_the_head_only_the_autoscaler_gets_the_token() -> None:
    cluster = only(rendered("default"), "RayService")["spec"]["rayClusterConfig"]
    head = cluster["headGroupSpec"]["template"]["spec"]
    [projected] = [volume["name"] for volume in head["volumes"] if "projected" in volume]
    mounts = cluster["autoscalerOptions"]["volumeMounts"]
    assert {"name": projected, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True} in mounts
    assert projected not in {mount["name"] for c in containers({"spec": head}) for mount in c["volumeMounts"]}


@pytest.mark.parametrize("case", CASES)
def test_every_pod_names_its_user_for_programs_that_ask(case: str) -> None:
    # kopf and Ray call getpass.getuser, which fails for a UID without an entry in /etc/passwd.
    for name, pod in pod_templates(rendered(case)):
        for container in containers(pod):
            image = container["image"]
            if "luna-" in image and not name.endswith(("test-ready", "test-account")):
                assert environment(container)["USER"] == "luna", f"{name}/{container['name']}"


def test_the_operator_has_exactly_the_rights_it_needs() -> None:
    rules = only(rendered("default"), "ClusterRole")["rules"]
    granted = [
        (group, resource, verb)
        for rule in rules
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]
    assert sorted(granted) == sorted(RIGHTS)
    assert not any(rule.keys() - {"apiGroups", "resources", "verbs"} for rule in rules)


def test_the_operators_rights_are_bound_to_its_account_alone() -> None:
    manifests = rendered("default")
    binding = only(manifests, "ClusterRoleBinding")
    assert binding["roleRef"]["name"] == only(manifests, "ClusterRole")["metadata"]["name"]
    account = only(manifests, "Deployment")["spec"]["template"]["spec"]["serviceAccountName"]
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account, "namespace": "models"}]
    users = [name for name, pod in pod_templates(manifests) if pod["spec"].get("serviceAccountName") == account]
    assert users == ["Deployment/luna-operator"]


def test_the_helm_test_may_touch_its_own_account_and_secret_alone() -> None:
    role = only(rendered("default"), "Role")
    assert is_hook(role, "test")
    assert role["rules"] == [
        {"verbs": ["create"], "apiGroups": ["luna.dev"], "resources": ["accounts"]},
        {
            "verbs": ["get", "delete"],
            "apiGroups": ["luna.dev"],
            "resources": ["accounts"],
            "resourceNames": ["luna-helm-test"],
        },
        {
            "verbs": ["get"],
            "apiGroups": [""],
            "resources": ["secrets"],
            "resourceNames": ["luna-helm-test-luna-key"],
        },
    ]


@pytest.mark.parametrize("case", CASES)
def test_passwords_reach_only_those_who_use_them_and_only_as_references(case: str) -> None:
    for name, pod in pod_templates(rendered(case)):
        for container in containers(pod):
            given = environment(container)
            secret = {name for name, value in given.items() if isinstance(value, dict) and "secretKeyRef" in value}
            assert secret == expected_secrets(case, name, container["name"]), f"{name}/{container['name']}"


def expected_secrets(case: str, pod: str, container: str) -> set[str]:
    needed = {"DATABASE_URL", "REDIS_URL", "LUNA_PEPPERS"}
    match container:
        case "operator":
            return needed
        case "ray-worker":
            # Of the OpenID providers; where there are none, none.
            needed |= {"S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"}
            return needed | {"LUNA_CLIENT_SECRETS"} if case == "everything" else needed
        case "wait-for-schema" | "migrate":
            return {"DATABASE_URL"}
        case "postgres":
            return {"POSTGRES_PASSWORD"}
        case "valkey":
            return {"VALKEYCLI_AUTH", "REDISCLI_AUTH"}
        # The head runs no replica of Luna: KubeRay gives it the password of Ray's Redis.
        # SeaweedFS reads its files; it has none in its environment.
        case "ray-head" | "ready" | "account" | "seaweedfs":
            return set()
    raise AssertionError(f"{pod}/{container} is new: which Secrets does it need?")


OBJECTS = ("S3_SECRET_ACCESS_KEY", "key.pem", "security.toml")


def test_no_password_stands_in_anything_but_a_secret() -> None:
    manifests = rendered("default")
    passwords: list[str] = []
    for secret in of_kind(manifests, "Secret").values():
        passwords += [value for name, value in secret["data"].items() if name in {"password", "LUNA_PEPPERS", *OBJECTS}]
    assert len(passwords) == 6
    others = str([manifest for manifest in manifests if manifest["kind"] != "Secret"])
    decoded = [b64decode(password).decode() for password in passwords]
    assert not any(password in others for password in [*passwords, *decoded])


@pytest.mark.parametrize("case", CASES)
def test_every_container_says_what_it_takes(case: str) -> None:
    for name, pod in pod_templates(rendered(case)):
        for container in containers(pod):
            resources: dict[str, Any] = container["resources"]
            assert {"cpu", "memory"} <= resources["requests"].keys(), f"{name}/{container['name']}"
            assert "memory" in resources["limits"], f"{name}/{container['name']}"
