"""Postgres and Valkey of a test's own: to be stopped, killed and wiped."""

from __future__ import annotations

import shutil
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.operator.operating import Surroundings

from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer
from luna_store.platform.schema import migrate

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.kubernetes import Kubernetes


@dataclass(frozen=True)
class OwnStores:
    """The servers, and what an operator that works on them needs."""

    postgres: PostgresServer
    valkey: ValkeyServer
    around: Surroundings


@contextmanager
def own_stores(cluster: Kubernetes, folder: Path) -> Iterator[OwnStores]:
    """Start them, with Luna's schema; a restart keeps ports and passwords."""
    with PostgresServer(folder / "postgres", folder) as postgres, ValkeyServer(folder / "valkey", folder) as valkey:
        migrate(postgres.url)
        yield OwnStores(postgres, valkey, Surroundings(cluster.kubeconfig, postgres.url, valkey.url))
    for name in ("postgres", "valkey"):
        shutil.rmtree(folder / name, ignore_errors=True)
