"""One try: it connects to the address that was checked, keeps the name for TLS, and believes no answer but a 2xx."""

import asyncio
import ssl
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from standardwebhooks.webhooks import Webhook, WebhookVerificationError
from tests.jobs.webhooks.receivers import receiver

from luna_serving.webhooks.addresses import Address, Allowed
from luna_serving.webhooks.sending import Outcome, Sender
from luna_serving.webhooks.signing import headers_of
from luna_store.jobs.webhook_secrets import new_secret

LOOPBACK = Allowed(http=True, networks=(ip_network("127.0.0.0/8"),))
NAME = "hooks.example.com"


def sender(allowed: Allowed = LOOPBACK, *, timeout_s: float = 15.0, **options: object) -> Sender:
    return Sender(allowed, timeout_s=timeout_s, **options)


def resolving(*answers: Sequence[str]):
    """A resolver that gives these answers in turn, and counts how often it was asked."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> Sequence[Address]:
        asked.append(host)
        return [ip_address(each) for each in answers[min(len(asked), len(answers)) - 1]]

    return resolve, asked


@pytest.mark.parametrize(
    ("status", "outcome", "words"),
    [
        (200, Outcome.DELIVERED, None),
        (204, Outcome.DELIVERED, None),
        (302, Outcome.FAILED, "redirects are not followed"),
        (400, Outcome.FAILED, "answered 400"),
        (410, Outcome.GONE, "410 Gone"),
        (503, Outcome.FAILED, "answered 503"),
    ],
)
async def test_only_a_2xx_delivers_and_410_ends_it(status: int, outcome: Outcome, words: str | None) -> None:
    async with receiver(status=status, headers={"Location": "http://127.0.0.1:1/"}) as here:
        tried = await sender().send(here.url, {"webhook-id": "1"}, b"{}")
    assert tried.outcome is outcome
    assert (words is None and tried.error is None) or words in tried.error
    assert len(here.got) == 1


async def test_the_answer_is_not_waited_for_beyond_its_time() -> None:
    async with receiver(delay_s=30) as here:
        begun = time.monotonic()
        tried = await sender(timeout_s=0.3).send(here.url, {}, b"{}")
    assert (tried.outcome, tried.error) == (Outcome.FAILED, "There was no answer within 0.3 s.")
    assert time.monotonic() - begun < 5


async def test_an_endless_answer_is_not_read() -> None:
    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        try:
            while True:
                writer.write(b"10000\r\n" + b"a" * 65_536 + b"\r\n")
                await writer.drain()
        except OSError:
            writer.close()

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        tried = await asyncio.wait_for(sender().send(f"http://127.0.0.1:{port}/", {}, b"{}"), 5)
    assert tried.outcome is Outcome.DELIVERED


@pytest.mark.parametrize("answer", [b"SSH-2.0-OpenSSH_9\r\n", b"", b"HTTP/1.1 200 OK\r\nX: " + b"a" * 200_000])
async def test_what_is_no_http_is_a_failure(answer: bytes) -> None:
    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    async with server:
        tried = await sender().send(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, b"{}")
    assert tried.outcome is Outcome.FAILED
    assert "not HTTP/1.1" in tried.error


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["172.16.0.1"],
        ["192.168.1.1"],
        ["169.254.169.254"],
        ["100.64.0.1"],
        ["0.0.0.0"],
        ["239.1.1.1"],
        ["::1"],
        ["fd00::1"],
        ["fe80::1"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["198.41.0.4", "127.0.0.1"],
    ],
)
async def test_a_name_that_leads_inside_is_not_connected_to(addresses: list[str]) -> None:
    async with receiver() as here:
        resolve, asked = resolving(addresses)
        public = sender(Allowed(http=True), resolve=resolve)
        tried = await public.send(f"http://{NAME}:{here.port}/hook", {}, b"{}")
    assert (tried.outcome, tried.error) == (
        Outcome.FAILED,
        "The host's name resolves to an address that is not public.",
    )
    assert (here.got, asked) == ([], [NAME])


async def test_a_name_that_is_rebound_after_the_check_is_connected_to_as_it_was_checked() -> None:
    async with receiver() as here:
        resolve, asked = resolving(["127.0.0.1"], ["192.168.1.1"])
        first = sender(resolve=resolve)
        assert (await first.send(f"http://{NAME}:{here.port}/hook", {}, b"{}")).outcome is Outcome.DELIVERED
        assert len(asked) == 1, "the name was resolved once, for the check and the connection together"
        assert (await first.send(f"http://{NAME}:{here.port}/hook", {}, b"{}")).outcome is Outcome.FAILED
    assert [headers["host"] for headers, _ in here.got] == [f"{NAME}:{here.port}"]


async def test_a_literal_address_of_the_inside_is_refused_though_it_was_accepted_once() -> None:
    async with receiver() as here:
        tried = await sender(Allowed(http=True)).send(here.url, {}, b"{}")
    assert here.got == []
    assert tried.error.startswith("The URL is refused: Must be a public address")


async def test_tls_is_checked_for_the_name_though_the_address_is_pinned(tmp_path: Path) -> None:
    server, client = certified(tmp_path, NAME)
    resolve, _ = resolving(["127.0.0.1"])
    async with receiver(tls=server) as here:
        send = sender(resolve=resolve, tls=client).send
        assert (await send(f"https://{NAME}:{here.port}/hook", {}, b"{}")).outcome is Outcome.DELIVERED
        other = await send(f"https://other.example.com:{here.port}/hook", {}, b"{}")
        plain = await sender(resolve=resolve).send(f"https://{NAME}:{here.port}/hook", {}, b"{}")
    for tried in (other, plain):
        assert tried.outcome is Outcome.FAILED
        assert "certificate is not valid" in tried.error
    assert len(here.got) == 1


def certified(folder: Path, name: str) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server that has a certificate for a name, and a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = folder / "certificate.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(pem)
    return server, ssl.create_default_context(cadata=certificate.public_bytes(serialization.Encoding.PEM).decode())


def test_signatures_are_those_of_the_standards_own_library() -> None:
    old, new, body = new_secret(), new_secret(), b'{"a":1}'
    headers = headers_of("msg_1", int(time.time()), body, (new, old))
    for secret in (old, new):
        assert Webhook(secret).verify(body, headers) == {"a": 1}
    for forged in (b'{"a":2}', body + b" "):
        with pytest.raises(WebhookVerificationError):
            Webhook(new).verify(forged, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(body, headers)
