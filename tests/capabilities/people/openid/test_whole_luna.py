"""A sign-in through `luna up`: HAProxy, Serve, two ingress replicas."""

import os
from pathlib import Path
from unittest.mock import patch

from tests.capabilities.people.openid.conftest import library_provider
from tests.capabilities.people.openid.people import SECRET, Website, address, settings_of
from tests.capabilities.people.openid.test_sign_in import register
from tests.serving.platform import luna_on

from luna_serving.local.servers.postgres import PostgresServer
from luna_serving.local.servers.valkey import ValkeyServer


def logged(folder: Path) -> str:
    """What `luna up` and its processes have logged in its data folder; Ray keeps its own elsewhere."""
    logs = [path for pattern in ("*.log", "*.err", "*.out") for path in folder.rglob(pattern) if path.is_file()]
    return "\n".join(path.read_text(errors="replace") for path in logs)


async def test_a_person_signs_in_through_luna_up_whichever_replica_answers(tmp_path: Path) -> None:
    with (
        library_provider(tmp_path) as honest,
        PostgresServer(tmp_path / "postgres", tmp_path) as postgres,
        ValkeyServer(tmp_path / "valkey", tmp_path) as valkey,
        patch.dict(os.environ, settings_of({"honest": {"issuer": honest, "client_id": "luna"}})),
        luna_on(tmp_path, database_url=postgres.url, redis_url=valkey.url, arguments=["--only", "account"]) as luna,
    ):
        site, email = Website(luna, honest, [SECRET]), address()
        await site.invite(email)
        await register(site, email, email=email, email_verified=True)
        for _ in range(6):
            async with site.browser() as browser:
                answer = await browser.sign_in("honest", email)
            assert answer.status_code == 200, answer.text
        said = logged(tmp_path)
        assert "Ready after" in said
        assert [secret for secret in site.secrets if secret in said] == []
