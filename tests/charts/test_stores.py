"""Postgres, Valkey and SeaweedFS for development, and the Secrets by which others are named."""

from __future__ import annotations

import http.client
import signal
import socket
from base64 import b64decode
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from tests.charts.rendering import (
    CASES,
    containers,
    environment,
    of_kind,
    only,
    parsed,
    pod_templates,
    rendered,
    template,
)

from luna_serving.local.data_folder.ports import free_port
from luna_serving.local.servers.process import ServerProcess, wait_until
from luna_serving.local.servers.seaweedfs import seaweedfs_binary
from luna_serving.local.servers.seaweedfs_ports import SERVERS
from luna_serving.objects.sigv4 import Credentials, presigned_url
from luna_store.accounts.api_keys import Peppers

if TYPE_CHECKING:
    from pathlib import Path


def secret(name: str) -> dict[str, str]:
    data: dict[str, str] = of_kind(rendered("default"), "Secret")[name]["data"]
    return {field: b64decode(value).decode() for field, value in data.items()}


def test_the_urls_lead_to_the_bundled_stores_with_their_passwords() -> None:
    services = of_kind(rendered("default"), "Service")
    ours = (("luna-database", "DATABASE_URL", "luna-postgres"), ("luna-redis", "REDIS_URL", "luna-valkey"))
    for name, url, service in ours:
        parts = urlsplit(secret(name)[url])
        assert parts.hostname == service
        assert parts.port == services[service]["spec"]["ports"][0]["port"]
        assert parts.password == secret(name)["password"]
    assert secret("luna-redis")["auth.conf"] == f"requirepass {secret('luna-redis')['password']}\n"


def test_passwords_and_peppers_are_long_and_never_the_same() -> None:
    again = of_kind(parsed(template()), "Secret")
    for name, field in (("luna-database", "password"), ("luna-redis", "password"), ("luna-peppers", "LUNA_PEPPERS")):
        assert len(secret(name)[field]) >= 32
        assert b64decode(again[name]["data"][field]).decode() != secret(name)[field]


def test_the_peppers_are_such_as_luna_takes() -> None:
    assert Peppers.parse(secret("luna-peppers")["LUNA_PEPPERS"])


@pytest.mark.parametrize("case", CASES)
def test_generated_secrets_outlive_the_release(case: str) -> None:
    for manifest in of_kind(rendered(case), "Secret").values():
        assert manifest["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_secrets_of_ones_own_take_the_place_of_generated_ones() -> None:
    manifests = rendered("production")
    assert not of_kind(manifests, "Secret")
    assert not of_kind(manifests, "StatefulSet")
    named = {
        (source["secretKeyRef"]["name"], source["secretKeyRef"]["key"])
        for _, pod in pod_templates(manifests)
        for container in containers(pod)
        for source in environment(container).values()
        if isinstance(source, dict) and "secretKeyRef" in source
    }
    assert named == {
        ("luna-database", "DATABASE_URL"),
        ("luna-redis", "REDIS_URL"),
        ("luna-peppers", "LUNA_PEPPERS"),
        ("luna-objects", "S3_ACCESS_KEY_ID"),
        ("luna-objects", "S3_SECRET_ACCESS_KEY"),
    }


def test_another_key_of_the_secret_can_be_named() -> None:
    operator = only(rendered("everything"), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert environment(operator)["LUNA_PEPPERS"]["secretKeyRef"] == {"name": "my-peppers", "key": "text"}


def test_client_secrets_of_openid_providers_reach_serving_alone() -> None:
    operator = only(rendered("everything"), "Deployment")["spec"]["template"]["spec"]["containers"][0]
    assert "LUNA_CLIENT_SECRETS" not in environment(operator)
    ray = [
        environment(container)
        for kind, pod in pod_templates(rendered("everything"))
        for container in containers(pod)
        if "LUNA_CLIENT_SECRETS" in environment(container)
    ]
    assert ray
    for each in ray:
        assert each["LUNA_CLIENT_SECRETS"]["secretKeyRef"] == {"name": "my-clients", "key": "json"}


def test_valkey_forgets_no_quota() -> None:
    lines = of_kind(rendered("default"), "ConfigMap")["luna-valkey"]["data"]["valkey.conf"].splitlines()
    assert "maxmemory-policy noeviction" in lines
    assert "appendonly yes" in lines
    assert "appendfsync everysec" in lines


def test_the_stores_keep_their_data_unless_told_otherwise() -> None:
    claims = of_kind(rendered("everything"), "PersistentVolumeClaim")
    assert claims.keys() == {"everything-postgres", "everything-valkey", "everything-seaweedfs"}
    for name, claim in claims.items():
        assert claim["spec"]["storageClassName"] == "fast"
        assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        pod = of_kind(rendered("everything"), "StatefulSet")[name]["spec"]["template"]["spec"]
        assert {"name": "data", "persistentVolumeClaim": {"claimName": name}} in pod["volumes"]
    assert not of_kind(rendered("dev"), "PersistentVolumeClaim")


def test_without_a_store_serving_is_given_none_and_with_one_all_of_it() -> None:
    assert s3("--set", "seaweedfs.enabled=false") == {}
    bundled = s3()
    assert bundled["S3_ENDPOINT"] == "http://luna-seaweedfs:8333"
    port = of_kind(rendered("default"), "Service")["luna-seaweedfs"]["spec"]["ports"][0]["port"]
    assert port == 8333
    assert "S3_PUBLIC_ENDPOINT" not in bundled
    assert bundled["S3_SECRET_ACCESS_KEY"]["secretKeyRef"] == {"name": "luna-objects", "key": "S3_SECRET_ACCESS_KEY"}
    external = s3(
        "--set", "seaweedfs.enabled=false,objects.endpoint=https://s3.example.com,objects.existingSecret=mine"
    )
    assert external["S3_ENDPOINT"] == "https://s3.example.com"
    assert external["S3_ACCESS_KEY_ID"]["secretKeyRef"] == {"name": "mine", "key": "S3_ACCESS_KEY_ID"}


def s3(*arguments: str) -> dict[str, Any]:
    """The S3_ variables of a worker."""
    workers = [
        environment(container)
        for _, pod in pod_templates(parsed(template(*arguments)))
        for container in containers(pod)
        if container["name"] == "ray-worker"
    ]
    return {name: value for name, value in workers[0].items() if name.startswith("S3_")}


def test_the_bundled_object_store_starts_from_the_charts_files_and_lets_nobody_else_in(tmp_path: Path) -> None:
    files = {name: text for name, text in secret("luna-objects").items() if "." in name}
    pod = of_kind(rendered("default"), "StatefulSet")["luna-seaweedfs"]["spec"]["template"]["spec"]
    volume = next(volume for volume in pod["volumes"] if volume["name"] == "configuration")
    assert {item["key"] for item in volume["secret"]["items"]} == set(files)
    for name, text in files.items():
        (tmp_path / name).write_text(text.replace("/etc/seaweedfs", str(tmp_path)))
    ports = {f"{server}.port{kind}": free_port() for server in SERVERS for kind in ("", ".grpc")}
    (tmp_path / "data").mkdir()
    changed = {
        "-dir=/data": f"-dir={tmp_path / 'data'}",
        "-ip.bind=0.0.0.0": "-ip.bind=127.0.0.1",
        "-s3.config=/etc/seaweedfs/s3.json": f"-s3.config={tmp_path / 's3.json'}",
        "-s3.port=8333": f"-s3.port={ports.pop('s3.port')}",
    }
    arguments = [changed.get(argument, argument) for argument in pod["containers"][0]["command"][1:]]
    assert set(changed.values()) <= set(arguments)
    port = int(changed["-s3.port=8333"].partition("=")[2])
    command = [str(seaweedfs_binary()), *arguments, *(f"-{name}={number}" for name, number in ports.items())]
    process = ServerProcess(command, log_file=tmp_path / "log", cwd=tmp_path, env={"HOME": str(tmp_path)})
    try:
        probe = pod["containers"][0]["readinessProbe"]["httpGet"]["path"]
        wait_until(lambda: answered(port, probe) == 200, process, 60)
        identity = secret("luna-objects")
        credentials = Credentials(identity["S3_ACCESS_KEY_ID"], identity["S3_SECRET_ACCESS_KEY"], "us-east-1")
        listed = urlsplit(
            presigned_url(
                credentials, "GET", f"http://127.0.0.1:{port}", "/luna",
                query={}, headers={}, expires_s=60, at=datetime.now(UTC),
            )
        )  # fmt: skip
        wait_until(lambda: answered(port, f"{listed.path}?{listed.query}") == 200, process, 60)
        assert answered(port, "/luna") == 403
        with socket.create_connection(("127.0.0.1", ports["filer.port.grpc"]), timeout=10) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(3) + b"\x04" + bytes(5))
            assert connection.recv(100) == b""  # it speaks TLS alone
    finally:
        process.stop((signal.SIGTERM, 3.0))


def answered(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()
