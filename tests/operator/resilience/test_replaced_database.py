"""A database that comes back empty: the operator is not ready without its schema, and makes it and all rows again."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from typing import TYPE_CHECKING

import psycopg
import pytest
from tests.operator.operating import HOST, Operator, eventually
from tests.operator.resilience.forked import ForkedOperator
from tests.operator.resilience.stores import OwnStores, own_stores

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.cluster.kubernetes import Kubernetes


@pytest.fixture
def stores(luna_cluster: Kubernetes, tmp_path: Path) -> Iterator[OwnStores]:
    with own_stores(luna_cluster, tmp_path) as made:
        yield made


def replace(stores: OwnStores) -> None:
    """As a pod with an emptyDir that is deleted."""
    with psycopg.connect(stores.postgres.url, autocommit=True) as connection:
        # Of the operator's transaction and this one, which wait for each other's tables, Postgres may end this one.
        eventually(lambda: dropped(connection))
        connection.execute("CREATE SCHEMA public")


def dropped(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("DROP SCHEMA IF EXISTS public CASCADE")
    except psycopg.errors.DeadlockDetected:
        return False
    return True


def readiness(operator: Operator) -> str:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{operator.metrics_port}/readyz", timeout=5) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as refused:
        return str(refused.read().decode())


def test_without_its_schema_the_operator_is_not_ready_and_says_the_cure(stores: OwnStores, tmp_path: Path) -> None:
    with ForkedOperator(stores.around, tmp_path).wait_ready() as operator:
        replace(stores)
        eventually(lambda: not operator.ready())
        assert "Run `luna migrate`" in readiness(operator)
        assert operator.process.poll() is None


def test_a_bundled_database_is_migrated_at_the_start_and_again_when_it_is_replaced(
    stores: OwnStores, tmp_path: Path, luna_cluster: Kubernetes, namespace: str
) -> None:
    replace(stores)
    account = {
        "apiVersion": "luna.dev/v1",
        "kind": "Account",
        "metadata": {"name": "acme", "namespace": namespace},
        "spec": {"displayName": "Acme"},
    }

    def rows() -> int:
        """Of the Account; 0 where there is no table."""
        try:
            with psycopg.connect(stores.postgres.url) as connection:
                asked = "SELECT count(*) FROM accounts WHERE account_name = %s"
                [count] = connection.execute(asked, [f"{namespace}/acme"]).fetchone() or (0,)
        except psycopg.errors.UndefinedTable:
            return 0
        return int(count)

    with ForkedOperator(stores.around, tmp_path, migrate="true", sweep_s=1).wait_leading() as operator:
        luna_cluster.apply(account)
        eventually(rows)
        replace(stores)
        eventually(rows, 90)
        eventually(operator.ready)
    assert re.search(r"at revision none.*It is made again", operator.log.read_text())
