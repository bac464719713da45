"""The operator's client at a real API server, and a namespace of each module's own."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING, Any

import pytest

from luna_operator.kube.client import ApiServer
from luna_operator.kube.resources import Resources
from luna_operator.resources.account import AccountResource

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

    from tests.cluster.kubernetes import Kubernetes

    Make = Callable[..., Awaitable[AccountResource]]

Requests = list[tuple[str, str, str]]


@pytest.fixture(scope="module")
def place(luna_cluster: Kubernetes) -> Iterator[str]:
    """The namespace of the module."""
    with luna_cluster.namespace("kube") as name:
        yield name


@pytest.fixture(scope="session")
def observed() -> Requests:
    """All requests so far: verb, resource, code."""
    return []


@pytest.fixture(scope="session")
async def api(luna_cluster: Kubernetes, observed: Requests) -> AsyncIterator[ApiServer]:
    """The client, with all rights."""
    async with connected(luna_cluster, observed) as server:
        yield server


class connected:  # noqa: N801  used as a function
    """A client of this cluster, closed after use."""

    def __init__(self, cluster: Kubernetes, observed: Requests) -> None:
        self._cluster = cluster
        self._observed = observed

    async def __aenter__(self) -> ApiServer:
        self._api = await ApiServer.connect(
            lambda *request: self._observed.append(request), kubeconfig=self._cluster.kubeconfig, connections=16
        )
        return self._api

    async def __aexit__(self, *_: object) -> None:
        await self._api.close()


@pytest.fixture(scope="session")
def resources(api: ApiServer) -> Resources:
    return Resources(api)


@pytest.fixture
def make(api: ApiServer, place: str) -> Make:
    """Create an Account of a fresh name."""

    async def created(spec: dict[str, Any] | None = None, **metadata: Any) -> AccountResource:
        body = {
            "apiVersion": "luna.dev/v1",
            "kind": "Account",
            "metadata": {"name": f"a{secrets.token_hex(4)}", **metadata},
            "spec": spec or {},
        }
        return AccountResource.parse(await api.create(f"/apis/luna.dev/v1/namespaces/{place}/accounts", body))

    return created
