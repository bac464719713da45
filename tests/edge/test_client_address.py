"""Which address a caller has, behind proxies that are trusted and others that are not."""

import asyncio
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.edge.running import running
from tests.local.serve_haproxy import NEEDS_HAPROXY, serve_configuration
from tests.serving.platform import PEPPERS

from luna_serving.edge import http_protocol, proxy_peer
from luna_serving.edge.client_address import MAX_HOPS, UNKNOWN, TrustedProxies
from luna_serving.local.data_folder.ports import LOOPBACK, free_port
from luna_serving.local.loopback.haproxy_on_loopback import closed
from luna_serving.local.loopback.ray_environment import haproxy_binary, install_haproxy
from luna_serving.settings import EdgeSettings, read_settings

PRIVATE = TrustedProxies(["10.0.0.0/8", "fd00::/8", "127.0.0.1"])


def address(proxies: TrustedProxies, peer: str, *forwarded: str) -> str:
    headers = [(b"host", b"luna"), *((b"x-forwarded-for", each.encode("latin-1")) for each in forwarded)]
    scope = {"client": (peer, 4711), "headers": headers}
    found = proxies.address(scope, dict(headers))
    assert proxies.address(scope, dict(headers)) == found  # from the cache
    return found


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("203.0.113.9", [], "203.0.113.9"),
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.1, 10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["1.1.1.1", "198.51.100.1", "10.9.9.9"], "198.51.100.1"),
        ("10.0.0.1", ["10.1.1.1, 10.2.2.2"], "10.1.1.1"),
        ("10.0.0.1", ["198.51.100.1:8443"], "198.51.100.1"),
        ("10.0.0.1", ["[2001:DB8::0:1]:8443"], "2001:db8::1"),
        ("10.0.0.1", ["[2001:db8::1]"], "2001:db8::1"),
        ("10.0.0.1", ["2001:db8:0::1"], "2001:db8::1"),
        ("10.0.0.1", ["::ffff:198.51.100.1"], "198.51.100.1"),
        ("::ffff:10.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("fd00::7", ["198.51.100.1"], "198.51.100.1"),
        ("fe80::1%eth0", ["198.51.100.1"], "fe80::1"),
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.2", ["198.51.100.1"], "127.0.0.2"),
    ],
)
def test_the_address_is_the_rightmost_that_no_trusted_proxy_has(peer: str, forwarded: list[str], found: str) -> None:
    assert address(PRIVATE, peer, *forwarded) == found


@pytest.mark.parametrize(
    "malformed",
    ["", "unknown", "_hidden", "1.2.3", "1.2.3.4:", "1.2.3.4:99999", "1.2.3.4:x", "1.2.3.4:-1", "[::1", "[1.2.3.4]:1",
     "[::1]x", "01.2.3.4", "fe80::1%eth0", "1.2.3.4/8", "²", "1.2.3.4:²", '"1.2.3.4"', "for=1.2.3.4"],
)  # fmt: skip
def test_a_malformed_entry_ends_the_walk(malformed: str) -> None:
    assert address(PRIVATE, "10.0.0.1", f"198.51.100.1, {malformed}, 10.2.2.2") == "10.2.2.2"
    assert address(PRIVATE, "10.0.0.1", f"198.51.100.1, {malformed}") == "10.0.0.1"


def test_a_chain_beyond_the_limit_is_cut_between_entries() -> None:
    chain = ", ".join(["198.51.100.1", "110.0.0.1", *["10.0.0.2"] * (MAX_HOPS - 1)])
    assert address(PRIVATE, "10.0.0.1", chain) == "110.0.0.1"
    assert address(PRIVATE, "10.0.0.1", ", ".join(["198.51.100.1", *["10.0.0.2"] * MAX_HOPS])) == "10.0.0.2"


@pytest.mark.parametrize("client", [None, ("", 0), ("testclient", 50000), ("/run/luna.sock", 0)])
def test_a_peer_without_an_address_is_no_trusted_proxy(client: tuple[str, int] | None) -> None:
    headers = [(b"x-forwarded-for", b"198.51.100.1")]
    everywhere = TrustedProxies(["0.0.0.0/0", "::/0"])
    assert everywhere.address({"client": client, "headers": headers}, dict(headers)) == UNKNOWN
    assert everywhere.address({"headers": headers}, dict(headers)) == UNKNOWN


def test_networks_may_be_ipv4_mapped() -> None:
    assert address(TrustedProxies(["::ffff:10.0.0.0/104"]), "10.2.3.4", "198.51.100.1") == "198.51.100.1"


HOPS = st.one_of(st.ip_addresses(network="10.0.0.0/8"), st.ip_addresses(v=4), st.ip_addresses(v=6))


def plain(found: IPv4Address | IPv6Address) -> str:
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return str(mapped or found)


def written(found: IPv4Address | IPv6Address, port: int | None) -> str:
    if port is None:
        return str(found)
    return f"{found}:{port}" if found.version == 4 else f"[{found}]:{port}"


@given(
    peer=HOPS,
    real=st.lists(st.tuples(HOPS, st.none() | st.integers(0, 65535))),
    forged=st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=60),
    lines=st.booleans(),
)  # fmt: skip
def test_nothing_that_a_caller_writes_changes_what_the_proxies_appended(
    peer: IPv4Address, real: list[tuple[IPv4Address | IPv6Address, int | None]], forged: str, *, lines: bool
) -> None:
    trusted = ip_network("10.0.0.0/8")
    entries = [written(each, port) for each, port in real]
    # An independent reading: the first, from the right, that is not trusted.
    chain = [peer, *(each for each, _ in reversed(real))][: MAX_HOPS + 1]
    expected = next((plain(each) for each in chain if ip_address(plain(each)) not in trusted), None)
    header = [forged, *entries] if lines else [", ".join([forged, *entries])]
    found = address(TrustedProxies(["10.0.0.0/8"]), str(peer), *header)
    if expected is not None:
        assert found == expected
    else:
        # All that were appended are trusted: what the caller wrote is its own business, but it is an address.
        assert str(ip_address(found)) == found


@given(st.binary(max_size=2000))
def test_any_header_gives_an_address(header: bytes) -> None:
    headers = [(b"x-forwarded-for", header)]
    found = PRIVATE.address({"client": ("10.0.0.1", 1), "headers": headers}, dict(headers))
    assert str(ip_address(found)) == found


def test_the_setting_is_a_list_of_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    assert EdgeSettings().trusted_proxies == ()
    monkeypatch.setenv("LUNA_EDGE_TRUSTED_PROXIES", "10.0.0.0/8, ::1,")
    assert read_settings({}).platform.edge.trusted_proxies == ("10.0.0.0/8", "::1")
    assert EdgeSettings(trusted_proxies=("fd00::/8",)).trusted_proxies == ("fd00::/8",)
    with pytest.raises(ValueError, match="CIDR notation, such as"):
        EdgeSettings(trusted_proxies=("10.0.0.1/8",))


# ---- Luna's own HAProxy


async def addresses(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the address of the caller."""
    del receive
    headers = dict(scope["headers"])
    assert proxy_peer.HEADER not in headers
    proxies = TrustedProxies(["127.0.0.9"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": proxies.address(scope, headers).encode()})


@contextmanager
def haproxy(folder: Path, replica: int, peppers: str) -> Iterator[str]:
    """HAProxy as `luna up` starts it, in front of a replica at this port."""
    binary = haproxy_binary()
    assert binary is not None
    port = free_port()
    configuration = serve_configuration(folder, port, {"app": replica})
    configuration.write_text(closed(configuration.read_text()))
    program = install_haproxy(folder, binary)
    process = subprocess.Popen([program, "-db", "-f", str(configuration)], env={"LUNA_PEPPERS": peppers})
    try:
        for _ in range(200):
            with httpx.Client() as client:
                try:
                    if client.get(f"http://{LOOPBACK}:{port}/app/").status_code == 200:
                        break
                except httpx.HTTPError:
                    pass
            time.sleep(0.05)
        yield f"http://{LOOPBACK}:{port}/app/"
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def replica_behind_haproxy(folder: Path, peppers: str = PEPPERS) -> AsyncIterator[tuple[str, str]]:
    async with running(addresses, proxy_peer.tokens(PEPPERS)) as direct:
        port = int(direct.rpartition(":")[2])
        opened = haproxy(folder, port, peppers)
        url = await asyncio.to_thread(opened.__enter__)
        try:
            yield url, direct
        finally:
            await asyncio.to_thread(opened.__exit__, None, None, None)


async def asked(url: str, source: str = LOOPBACK, **headers: str) -> str:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(local_address=source)) as client:
        answer = await client.get(url, headers=named)
        assert answer.status_code == 200, answer.text
        return answer.text


@NEEDS_HAPROXY
async def test_haproxy_names_its_peer_and_callers_cannot(tmp_path: Path) -> None:
    async with replica_behind_haproxy(tmp_path / "run") as (url, direct):
        assert await asked(url) == "127.0.0.1"
        assert await asked(url, "127.0.0.7") == "127.0.0.7"
        assert await asked(url, x_forwarded_for="198.51.100.1") == "127.0.0.1"
        assert await asked(url, x_luna_peer="198.51.100.1") == "127.0.0.1"
        token = proxy_peer.tokens(PEPPERS)[0].decode()
        assert await asked(url, x_luna_peer=f"{token};198.51.100.1") == "127.0.0.1"
        # A proxy in front, from an address that is trusted.
        assert await asked(url, "127.0.0.9", x_forwarded_for="1.1.1.1, 198.51.100.1") == "198.51.100.1"
        # Past HAProxy, at the replica's own port: without the token nothing is believed.
        assert await asked(direct, x_luna_peer="198.51.100.1") == "127.0.0.1"
        assert await asked(direct, x_luna_peer=";198.51.100.1") == "127.0.0.1"
        assert await asked(direct, x_luna_peer=f"{token};198.51.100.1") == "198.51.100.1"


@NEEDS_HAPROXY
async def test_a_haproxy_without_peppers_is_not_believed(tmp_path: Path) -> None:
    async with replica_behind_haproxy(tmp_path / "run", peppers="") as (url, _):
        assert await asked(url, "127.0.0.7") == "127.0.0.1"


def test_each_pepper_has_a_token_of_its_own() -> None:
    newest, older = proxy_peer.tokens("b:" + "b" * 32 + ", a:" + "a" * 32)
    assert newest != older
    assert proxy_peer.tokens("a:" + "a" * 32) == (older,)
    assert proxy_peer.tokens("") == ()
    assert b"aaaa" not in older


async def test_uvicorn_does_not_believe_the_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")
    http_protocol.install()
    async with running(addresses) as url:
        assert await asked(url, x_forwarded_for="198.51.100.1") == "127.0.0.1"
