"""Luna with the providers of these tests: a library's, and one that misbehaves on purpose."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.capabilities.people.openid.people import SECRET, Website, settings_of, wait_for, website
from tests.capabilities.people.openid.strange import Strange

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


RULES = [
    {"claim": "groups", "value": "luna-admins", "account": TEAM, "role": "admin"},
    {"claim": "groups", "value": "luna-users", "account": TEAM, "role": "viewer"},
    {"claim": "/realm/roles", "value": "other", "account": OTHER, "role": "member"},
]


@pytest.fixture(scope="session")
def strange() -> Iterator[Strange]:
    """The provider that misbehaves."""
    server = Strange(SECRET)
    for name in ("strange", "rotating", "slow-code", "thin", "named"):
        server.issuer(name)
    server.issuer("slow", delay_s=30)
    server.issuer("huge", raw=b'{"issuer": "' + b"x" * 10_000_000 + b'"}')
    server.issuer("liar", changes={"issuer": "https://accounts.example.com"})
    server.issuer("hmac", changes={"id_token_signing_alg_values_supported": ["HS256", "none"]})
    server.issuer("plain", changes={"token_endpoint": "http://192.0.2.1/token"})
    server.issuers["named"].changes = {"authorization_response_iss_parameter_supported": True}
    yield server
    server.close()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, strange: Strange) -> Iterator[Website]:
    """Luna with all providers of these tests."""
    folder = tmp_path_factory.mktemp("openid")
    with (
        library_provider(folder) as honest,
        PostgresServer(folder / "postgres", folder) as postgres,
        ValkeyServer(folder / "valkey", folder) as valkey,
    ):
        providers: dict[str, Any] = {
            "honest": {"issuer": honest, "label": "The honest one", "roles": RULES},
            "linking": {"issuer": honest, "link_existing": True},
            "open": {"issuer": honest, "sign_up": True},
            "down": {"issuer": f"http://127.0.0.1:{free_port()}"},
            **{name: {"issuer": issuer.url} for name, issuer in strange.issuers.items()},
        }
        providers["thin"]["userinfo"] = True
        for each in providers.values():
            each["client_id"] = "luna"
        with website(folder, postgres.url, valkey.url, honest, settings_of(providers)) as running:
            yield running
