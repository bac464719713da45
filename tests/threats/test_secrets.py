"""No secret of a run stands in a log, on a command line that other users see, or where a process does not need it."""

import json
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest
from tests.threats.logs import lines_of, logs
from tests.threats.running import LocalLuna
from tests.threats.schemathesis_run import token_of

from luna_serving.edge.proxy_peer import tokens as peer_tokens
from luna_store.accounts.api_keys import Peppers


@pytest.fixture(scope="module")
def secrets_of_the_run(luna: LocalLuna) -> Mapping[str, str]:
    """Everything secret that was made or sent, after calls of every kind: right ones, wrong ones and failing ones."""
    caller = luna.new_caller()
    person = luna.new_person(caller.id)
    signed_in = person.sign_in()
    env = dict(line.split("=", 1) for line in (luna.folder / "env").read_text().splitlines())
    found = {
        "key": caller.key.secret,
        "demo key": env["LUNA_API_KEY"],
        "demo password": env["LUNA_PASSWORD"],
        "token": token_of(caller),
        "password": person.password,
        "access token": str(signed_in["access_token"]),
        "refresh token": str(signed_in["refresh_token"]),
        "database password": str(urlsplit(luna.database_url).password),
        "redis password": str(urlsplit(luna.redis_url).password),
        "ray's token": (luna.run_folder / "token").read_text(),
        **{f"pepper {name}": pepper.decode() for name, pepper in Peppers.parse(luna.peppers).by_name.items()},
        **{f"peer token {i}": token.decode() for i, token in enumerate(peer_tokens(luna.peppers))},
        # Mistakes of callers: a secret at a wrong place is a secret all the same.
        "wrong key": f"luna_abcdefgh_{'0123456789abcdef' * 2}abcdef",
        "wrong password": "wrong-password-9f3b1c",
        "wrong refresh token": "wrong-refresh-7a1d5e",
        "key in the body": "luna_inthebod_" + "fedcba9876543210" * 2 + "abcdef",
        "key in the query": "luna_inquerys_" + "0f1e2d3c4b5a6978" * 2 + "abcdef",
    }
    use(luna, caller.id, person.email, found)
    return found


def use(luna: LocalLuna, account_id: int, email: str, found: Mapping[str, str]) -> None:
    with httpx.Client(base_url=f"{luna.url}/api/v1", timeout=60) as client:
        for name in ("key", "demo key", "wrong key", "key in the query"):
            client.get("/account", headers={"X-API-Key": found[name]})
        for name in ("key", "token", "access token", "wrong key", "refresh token", "password"):
            client.get("/usage", headers={"Authorization": f"Bearer {found[name]}"})
            client.post("/kalman", headers={"Authorization": f"Bearer {found[name]}"}, json={"results": [1.0, 2.0]})
            client.post("/kalman", headers={"Authorization": f"Bearer {found[name]}"}, content=b"{")
        client.get("/usage", params={"api_key": found["key in the query"]}, headers={"X-API-Key": found["key"]})
        client.post("/kalman", json={"key": found["key in the body"]}, headers={"X-API-Key": found["key"]})
        for secret in (found["key"], found["wrong key"], found["key in the body"]):
            form = {"grant_type": "client_credentials", "client_id": str(account_id), "client_secret": secret}
            client.post("/auth/token", data=form)
            client.post("/auth/token", data={**form, "client_id": "x"})
        for password in (found["wrong password"], found["password"]):
            client.post("/auth/login", json={"email": email, "password": password})
            client.post("/auth/login", json={"email": password, "password": password})
        client.post("/auth/refresh", json={"refresh_token": found["wrong refresh token"]})
        answer = client.post("/auth/refresh", json={"refresh_token": found["refresh token"]})
        assert answer.status_code == 200, answer.text
        # Used twice: its family ends, which is logged.
        client.post("/auth/refresh", json={"refresh_token": found["refresh token"]})
        client.post("/auth/logout", json={"refresh_token": found["refresh token"]})
        client.post("/auth/password/link", json={"token": found["wrong refresh token"], "new_password": "a" * 30})


def forms_of(secret: str) -> Iterator[str]:
    """A secret, and its significant part where it has a public prefix."""
    yield secret
    if key := re.fullmatch(r"luna_\w{8}_(\w{32})\w{6}", secret):
        yield key[1]
    if secret.count(".") == 2:
        yield secret.rpartition(".")[2]


def test_no_log_of_the_run_holds_a_secret_of_the_run(luna: LocalLuna, secrets_of_the_run: Mapping[str, str]) -> None:
    read = [file for file in logs(luna) if file.stat().st_size]
    assert {"luna.log", "serve.log", "postgres.log", "valkey.log", "settlement.log"} <= {file.name for file in read}
    assert any(file.suffix == ".err" for file in read)
    for file in read:
        text = "\n".join(lines_of(file))
        found = [name for name, secret in secrets_of_the_run.items() for form in forms_of(secret) if form in text]
        assert not found, f"{file}: {found}"


def test_the_search_would_find_what_it_looks_for(luna: LocalLuna, secrets_of_the_run: Mapping[str, str]) -> None:
    """Key prefixes are not secret, and requests are logged in this run; standard output shows the demo key once."""
    assert secrets_of_the_run["demo key"] in luna.log.with_suffix(".out").read_text()
    assert any('"path": "/api/v1/auth/refresh"' in line for file in logs(luna) for line in lines_of(file))


def test_no_command_line_holds_a_secret(luna: LocalLuna, secrets_of_the_run: Mapping[str, str]) -> None:
    """`ps` shows command lines to every user of the machine."""
    for process in luna.processes():
        try:
            line = "\0".join(process.cmdline())
        except psutil.Error:
            continue
        found = [name for name, secret in secrets_of_the_run.items() for form in forms_of(secret) if form in line]
        assert not found, f"{process.name()}: {found}"


def test_the_servers_get_no_secret_of_luna_in_their_environment(
    luna: LocalLuna, secrets_of_the_run: Mapping[str, str]
) -> None:
    """Postgres and Valkey read their own passwords from files; peppers are none of their business."""
    seen = set()
    for process in luna.processes():
        try:
            name, environment = process.name(), "\0".join(process.environ().values())
        except psutil.Error:
            continue
        if name in {"postgres", "valkey-server"}:
            seen.add(name)
            found = [name for name, secret in secrets_of_the_run.items() if secret in environment]
            assert not found, f"{process.name()}: {found}"
    assert seen == {"postgres", "valkey-server"}


def test_files_with_secrets_are_their_owners_alone(luna: LocalLuna, secrets_of_the_run: Mapping[str, str]) -> None:
    """A file that holds a secret is of mode 0600, or lies in a folder of mode 0700."""
    for root in (luna.folder, luna.run_folder):
        assert stat.S_IMODE(root.stat().st_mode) == 0o700, root
    for name in ("env", "peppers", "demo-key"):
        assert stat.S_IMODE((luna.folder / name).stat().st_mode) == 0o600, name
    outside = [file for file in Path("/tmp/ray").rglob("*") if file.is_file()] if Path("/tmp/ray").is_dir() else []
    for file in outside:
        assert not any(secret in file.read_bytes().decode("latin-1") for secret in secrets_of_the_run.values()), file


def test_answers_hold_no_secret_that_was_sent(luna: LocalLuna, secrets_of_the_run: Mapping[str, str]) -> None:
    """Not even in an error that repeats what was wrong."""
    with httpx.Client(base_url=f"{luna.url}/api/v1", timeout=60) as client:
        answers = [
            client.get("/account", headers={"X-API-Key": secrets_of_the_run["wrong key"]}),
            client.get("/account", headers={"Authorization": f"Basic {secrets_of_the_run['password']}"}),
            client.post("/auth/refresh", json={"refresh_token": secrets_of_the_run["wrong refresh token"]}),
            client.post("/auth/login", json={"email": "a@example.org", "password": secrets_of_the_run["password"]}),
            client.post("/auth/login", json={"email": "a@example.org", "password": [secrets_of_the_run["password"]]}),
            client.get("/openapi.json"),
            httpx.get(f"{luna.url}/health/detailed"),
            httpx.get(f"{luna.url}/metrics"),
        ]
    for answer in answers:
        text = answer.text + json.dumps(dict(answer.headers))
        assert not [name for name, secret in secrets_of_the_run.items() if secret in text], answer.url
