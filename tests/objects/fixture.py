"""A real SeaweedFS for a run, and a client of it."""

import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from prometheus_client import CollectorRegistry

from luna_serving.local.servers.seaweedfs import SeaweedServer
from luna_serving.objects.access import ObjectAccess
from luna_serving.objects.client import ObjectStore
from luna_serving.objects.keys import incoming_prefix
from luna_serving.objects.metrics import ObjectMetrics
from luna_serving.settings import ObjectsSettings


def incoming_key(account_id: int) -> str:
    """A new key that a presigned URL may write."""
    return f"{incoming_prefix(account_id)}{uuid.uuid4()}"


def access(server: SeaweedServer, **changes: str) -> ObjectAccess:
    """How to reach a server; `changes` are fields of ObjectAccess."""
    variables = {name.lower(): value for name, value in server.environment.items()}
    return ObjectAccess.model_validate(variables | changes)


@asynccontextmanager
async def store_on(
    server: SeaweedServer,
    settings: ObjectsSettings | None = None,
    registry: CollectorRegistry | None = None,
    **changes: str,
) -> AsyncIterator[ObjectStore]:
    store = ObjectStore(
        access(server, **changes), settings or ObjectsSettings(), ObjectMetrics(registry or CollectorRegistry())
    )
    try:
        yield store
    finally:
        await store.close()


@pytest.fixture(scope="session")
def object_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SeaweedServer]:
    """The run's object store; nothing may stop it. Each test uses keys of an account of its own."""
    folder = tmp_path_factory.mktemp("objects")
    with SeaweedServer(folder / "data", folder) as server:
        yield server
    shutil.rmtree(folder / "data", ignore_errors=True)


@pytest.fixture(scope="session")
async def objects(object_server: SeaweedServer) -> AsyncIterator[ObjectStore]:
    """A client of the run's object store."""
    async with store_on(object_server) as store:
        yield store
