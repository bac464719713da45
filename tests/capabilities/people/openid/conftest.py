"""Luna with the providers of these tests: a library's, and one that misbehaves on purpose."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.capabilities.people.openid.people import Website, settings_of, wait_for, website

from luna_serving.local.data_folder.ports import free_port
from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer

TEAM = "openid/team"
OTHER = "openid/other"


@contextmanager
def library_provider(folder: Path) -> Iterator[str]:
    """Start `oidc-provider-mock` as a process of its own; yields its issuer."""
    port = free_port()
    command = [sys.executable, "-m", "oidc_provider_mock", "--port", str(port), "--require-nonce", "true"]
    with (folder / "provider.log").open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    issuer = f"http://127.0.0.1:{port}"
    try:
        wait_for(f"{issuer}/.well-known/openid-configuration", process, folder / "provider.log")
        yield issuer
    finally:
        process.terminate()
        process.wait(10)


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Website]:
    """Luna with all providers of these tests."""
    folder = tmp_path_factory.mktemp("openid")
    with (
        library_provider(folder) as honest,
        PostgresServer(folder / "postgres", folder) as postgres,
        ValkeyServer(folder / "valkey", folder) as valkey,
    ):
        rules = [
            {"claim": "groups", "value": "luna-admins", "account": TEAM, "role": "admin"},
            {"claim": "groups", "value": "luna-users", "account": TEAM, "role": "viewer"},
            {"claim": "/realm/roles", "value": "other", "account": OTHER, "role": "member"},
        ]
        providers = {
            "honest": {"issuer": honest, "client_id": "luna", "label": "The honest one", "roles": rules},
        }
        with website(folder, postgres.url, valkey.url, honest, settings_of(providers)) as running:
            yield running
