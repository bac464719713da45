"""The CRDs of the working tree at a real API server."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from tests.operator.crds.luna_api import LunaApi

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.kubernetes import Kubernetes

CRDS = Path(__file__).resolve().parents[3] / "crds"


@pytest.fixture(scope="module")
def luna(luna_cluster: Kubernetes) -> Iterator[LunaApi]:
    """Accounts in a namespace of the module's own."""
    with luna_cluster.namespace("crds") as namespace:
        yield LunaApi(luna_cluster.kubeconfig, namespace)


@pytest.fixture(scope="session", params=["account", "tier"])
def crd(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Each CustomResourceDefinition, as it is written."""
    return yaml.safe_load((CRDS / f"{request.param}.yaml").read_text())
