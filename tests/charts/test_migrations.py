"""Migrations, and the order in which a release comes up: nothing waits for something that waits for it."""

from __future__ import annotations

from typing import Any

import pytest
from tests.charts.rendering import (
    CASES,
    Manifest,
    containers,
    environment,
    is_hook,
    of_kind,
    only,
    parsed,
    pod_templates,
    rendered,
    template,
)

from luna_serving.cli import main

EXTERNAL = ("production",)


def job(case: str) -> Manifest:
    return only(rendered(case), "Job")


@pytest.mark.parametrize("case", CASES)
def test_an_external_database_is_migrated_before_the_release_a_bundled_one_beside_it(case: str) -> None:
    assert is_hook(job(case)) == (case in EXTERNAL)
    if case in EXTERNAL:
        assert is_hook(job(case), "pre-install")
        assert is_hook(job(case), "pre-upgrade")


@pytest.mark.parametrize("case", EXTERNAL)
def test_the_hook_uses_nothing_that_comes_with_the_release(case: str) -> None:
    """A hook runs before the release's own objects exist."""
    manifests = rendered(case)
    own = {(m["kind"], m["metadata"]["name"]) for m in manifests if not is_hook(m)}
    pod = job(case)["spec"]["template"]["spec"]
    for container in containers({"spec": pod}):
        for source in environment(container).values():
            if isinstance(source, dict):
                assert ("Secret", source["secretKeyRef"]["name"]) not in own
    assert not any(volume.keys() & {"configMap", "secret", "persistentVolumeClaim"} for volume in pod["volumes"])
    account = of_kind(manifests, "ServiceAccount")[pod["serviceAccountName"]]
    assert is_hook(account, "pre-install")
    assert is_hook(account, "pre-upgrade")
    weights = [int(m["metadata"]["annotations"]["helm.sh/hook-weight"]) for m in (account, job(case))]
    assert weights == sorted(set(weights)), "the account must be there before the job"


@pytest.mark.parametrize("case", [case for case in CASES if case not in EXTERNAL])
def test_a_bundled_database_needs_no_hook_to_come_up(case: str) -> None:
    """`helm install --wait` waits for pods that wait for the schema: a post-install hook would never run."""
    assert not [m for m in rendered(case) if is_hook(m) and not is_hook(m, "test")]


@pytest.mark.parametrize("case", CASES)
def test_the_job_may_be_repeated(case: str) -> None:
    pod = job(case)["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "OnFailure"
    assert "luna migrate" in " ".join(pod["containers"][0]["command"])
    assert "ttlSecondsAfterFinished" not in job(case)["spec"]  # Argo CD would make it anew for ever


def test_the_jobs_name_changes_with_what_it_runs_and_with_nothing_else() -> None:
    def name(*args: object) -> Any:
        return only(parsed(template(*args)), "Job")["metadata"]["name"]

    assert name() == name()
    assert name("--set", "operator.replicas=5") == name()
    assert name("--set", "images.operator.tag=next") != name()
    assert name("--set", "images.operator.tag=next").startswith("luna-migrate-")


@pytest.mark.parametrize("case", CASES)
def test_whoever_reads_the_schema_waits_for_it(case: str) -> None:
    for name, pod in pod_templates(rendered(case)):
        uses = {c["name"] for c in pod["spec"]["containers"] if "DATABASE_URL" in environment(c)} - {"migrate"}
        waits = [c["name"] for c in pod["spec"].get("initContainers", ())]
        # The operator of a bundled database makes the schema itself, see below.
        own = "migrate" if uses == {"operator"} and case not in EXTERNAL else "wait-for-schema"
        assert waits == ([own] if uses else []), name


@pytest.mark.parametrize("case", CASES)
def test_the_operator_migrates_a_bundled_database_whenever_it_is_empty(case: str) -> None:
    """Its Job has run once and for all: a Postgres without a volume would come back without a schema for good."""
    pod = only(rendered(case), "Deployment")["spec"]["template"]["spec"]
    [first], [operator] = pod["initContainers"], pod["containers"]
    bundled = case not in EXTERNAL
    assert (environment(operator)["LUNA_OPERATOR_MIGRATE"] == "true") == bundled
    assert ("until luna migrate;" in first["command"][-1]) == bundled
    if bundled:
        assert environment(first)["DATABASE_URL"] == environment(operator)["DATABASE_URL"]


def test_who_migrates_a_bundled_database_by_hand_does_so_alone() -> None:
    pod = only(parsed(template("--set", "migrations.enabled=false")), "Deployment")["spec"]["template"]["spec"]
    assert [each["name"] for each in pod["initContainers"]] == ["wait-for-schema"]
    assert environment(pod["containers"][0])["LUNA_OPERATOR_MIGRATE"] == "false"


def test_the_command_that_waits_exists(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    [waiting] = only(rendered("production"), "Deployment")["spec"]["template"]["spec"]["initContainers"]
    program, *arguments = waiting["command"]
    assert program == "luna"
    monkeypatch.setenv("DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    seconds = arguments.index("600")
    assert main([*arguments[:seconds], "0", *arguments[seconds + 1 :]]) == 1
    assert "Run `luna migrate`" in capsys.readouterr().err


def test_a_job_that_is_switched_off_is_gone() -> None:
    assert not of_kind(parsed(template("--set", "migrations.enabled=false")), "Job")
