"""A cluster, stores of the test's own, and tools that change and compare them."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

import pytest
from tests.operator.operating import Surroundings
from tests.operator.resilience.exact import Exactness
from tests.operator.resilience.history import History
from tests.operator.resilience.kube_api import KubeApi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.kubernetes import Kubernetes


@pytest.fixture
def around(luna_cluster: Kubernetes, migrated_database: str, fresh_redis: str) -> Surroundings:
    """The run's cluster, a migrated database and an empty Redis."""
    return Surroundings(luna_cluster.kubeconfig, migrated_database, fresh_redis)


@pytest.fixture
def api(luna_cluster: Kubernetes) -> KubeApi:
    """The API server, for the test's main thread."""
    return KubeApi(luna_cluster.kubeconfig)


@pytest.fixture
def history() -> History:
    """What the test did that no present state shows."""
    return History()


@pytest.fixture
def exact(api: KubeApi, around: Surroundings, history: History) -> Exactness:
    """Compares everything with what the resources ask for."""
    return Exactness(api, around, history)


@pytest.fixture
def tiers(api: KubeApi) -> Iterator[list[str]]:
    """Two Tiers of the test's own; they belong to no namespace, so they are removed by name."""
    names = [f"{kind}-{secrets.token_hex(3)}" for kind in ("small", "large")]
    specs = [{"quota": {"limit": 100}}, {"quota": {"limit": 10_000, "window": "Month"}, "allowedModels": ["arima"]}]
    for name, spec in zip(names, specs, strict=True):
        api.create_tier(name, spec)
    yield names
    for name in names:
        if name in api.tiers():
            api.delete_tier(name)
