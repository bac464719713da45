"""One operator and one ingress for the folder, a namespace for each test."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest
from tests.operator.lifecycle.installation import Installation, chart_access
from tests.operator.lifecycle.team import Team

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.cluster.kubernetes import Kubernetes
    from tests.serving.platform import Platform

    Make = Callable[..., Team]
    MakeTier = Callable[[dict[str, Any]], str]


@pytest.fixture(scope="package")
def installation(
    luna_cluster: Kubernetes, platform: Platform, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """Everything that runs."""
    with chart_access(luna_cluster) as access:
        made = Installation(luna_cluster, platform, access, tmp_path_factory.mktemp("operator"))
        made.start()
        try:
            yield made
        finally:
            made.stop()
            made.close()
        assert made.refused == made.pardoned, "the chart's role lacks a right that the operator needs"


@pytest.fixture
def namespace(installation: Installation) -> Iterator[str]:
    """A namespace of the test's own. Its Accounts are deleted afterwards, and the operator lets each of them go."""
    name = f"team-{secrets.token_hex(4)}"
    installation.core.create_namespace({"metadata": {"name": name}})
    try:
        yield name
        accounts = installation.custom.list_namespaced_custom_object("luna.dev", "v1", name, "accounts")["items"]
        for body in accounts:
            Team(installation, name, body["metadata"]["name"]).delete()
        for body in accounts:
            Team(installation, name, body["metadata"]["name"]).gone()
    finally:
        installation.core.delete_namespace(name)


@pytest.fixture
def make(installation: Installation, namespace: str) -> Make:
    """Create an Account in the test's namespace; see `Team.create`."""

    def create(spec: dict[str, Any] | None = None, name: str = "acme", **metadata: Any) -> Team:
        return Team(installation, namespace, name).create(spec, **metadata)

    return create


@pytest.fixture
def make_tier(installation: Installation) -> Iterator[MakeTier]:
    """Create a Tier of a fresh name, and return the name."""
    names: list[str] = []

    def create(spec: dict[str, Any]) -> str:
        name = f"tier-{secrets.token_hex(4)}"
        body = {"apiVersion": "luna.dev/v1", "kind": "Tier", "metadata": {"name": name}, "spec": spec}
        installation.custom.create_cluster_custom_object("luna.dev", "v1", "tiers", body, field_validation="Strict")
        names.append(name)
        return name

    yield create
    for name in names:
        installation.cluster.kubectl("delete", "tier", name, "--ignore-not-found")
