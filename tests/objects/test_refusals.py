"""What the store refuses, asked of a real SeaweedFS: each request is sent, and nothing is stored."""

import hashlib
import http.client
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import pytest
from tests.objects.fixture import access, incoming_key

from luna_serving.objects.errors import ObjectMissing
from luna_serving.objects.presigning import PresignedRequest, Presigner
from luna_serving.settings import ObjectsSettings

BODY = b"ts,shop,y\n2026-01-01,1,3.5\n"
TYPE = "text/csv"


@pytest.fixture
def key():
    return incoming_key(uuid.uuid4().int % 10**12)


@pytest.fixture
def presigner(object_server):
    known = access(object_server)
    return Presigner(known.credentials, known.public_endpoint, known.s3_bucket, ObjectsSettings())


@pytest.fixture
def request_(presigner, key):
    return presigner.put(key, len(BODY), TYPE, hashlib.sha256(BODY).hexdigest())


def send(request: PresignedRequest, body: bytes, *, method: str | None = None, **headers: str | None) -> int:
    """The status of the answer to exactly these headers; a broken connection is 0.

    Args:
        request: where to and with which headers.
        body: what is sent, whatever Content-Length says.
        method: instead of the request's.
        headers: changes, with `_` for `-`; None leaves a header out.
    """
    url = urlsplit(request.url)
    changed = {name.replace("_", "-").lower(): value for name, value in headers.items()}
    sent = {name.lower(): value for name, value in request.headers.items()} | changed
    connection = http.client.HTTPConnection(url.netloc, timeout=20)
    try:
        connection.putrequest(method or request.method, f"{url.path}?{url.query}", skip_accept_encoding=True)
        for name, value in sent.items():
            if value is not None:
                connection.putheader(name, value)
        connection.endheaders(body)
        if (short := int(sent.get("content-length") or len(body)) - len(body)) > 0:
            connection.sock.shutdown(1)  # no more comes
            assert short
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


async def stored(objects, key):
    try:
        return await objects.get_bytes(key)
    except ObjectMissing:
        return None


async def test_exactly_what_was_declared_is_stored(objects, key, request_):
    assert send(request_, BODY) == 200
    assert await stored(objects, key) == BODY


def longer(request):
    return send(request, BODY + b"more", content_length=str(len(BODY) + 4))


def shorter(request):
    return send(request, BODY[:-1], content_length=str(len(BODY) - 1))


def cut_off(request):
    return send(request, BODY[:-1])


def other_bytes(request):
    return send(request, BODY.swapcase())


def other_bytes_with_their_digest(request):
    import base64

    digest = base64.b64encode(hashlib.sha256(BODY.swapcase()).digest()).decode()
    return send(request, BODY.swapcase(), x_amz_checksum_sha256=digest)


def without_the_digest(request):
    return send(request, BODY, x_amz_checksum_sha256=None)


def other_type(request):
    return send(request, BODY, content_type="text/html")


def without_a_type(request):
    return send(request, BODY, content_type=None)


def without_the_condition(request):
    return send(request, BODY, if_none_match=None)


def in_chunks_of_unknown_length(request):
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    return send(request, chunked, content_length=None, transfer_encoding="chunked")


def forged(request):
    return send(replace(request, url=request.url[:-1] + ("0" if request.url[-1] != "0" else "1")), BODY)


def anonymous(request):
    return send(replace(request, url=request.url.partition("?")[0]), BODY)


def to_another_key(request):
    return send(replace(request, url=request.url.replace("/incoming/", "/sealed/", 1)), BODY)


def with_a_longer_life(request):
    return send(replace(request, url=request.url.replace("Expires=900", "Expires=9000")), BODY)


def as_another_method(request):
    return send(request, BODY, method="POST")


def as_a_copy_of_another_object(request):
    return send(request, b"", content_length="0", x_amz_copy_source="/luna/other")


ATTACKS = (
    longer,
    shorter,
    cut_off,
    other_bytes,
    other_bytes_with_their_digest,
    without_the_digest,
    other_type,
    without_a_type,
    without_the_condition,
    in_chunks_of_unknown_length,
    forged,
    anonymous,
    to_another_key,
    with_a_longer_life,
    as_another_method,
    as_a_copy_of_another_object,
)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
async def test_a_put_that_is_not_the_declared_one_is_refused_and_stores_nothing(objects, key, request_, attack):
    status = attack(request_)
    assert status == 0 or 400 <= status < 500
    assert await stored(objects, key) is None
    assert await stored(objects, key.replace("/incoming/", "/sealed/")) is None


async def test_an_expired_url_is_refused(objects, key, presigner):
    past = datetime.now(UTC) - timedelta(seconds=901)
    assert send(presigner.put(key, len(BODY), TYPE, hashlib.sha256(BODY).hexdigest(), at=past), BODY) == 403
    assert await stored(objects, key) is None


async def test_a_url_stores_once(objects, key, request_):
    assert send(request_, BODY) == 200
    assert send(request_, BODY) == 412
    assert await stored(objects, key) == BODY


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
async def test_a_url_for_a_put_neither_reads_nor_deletes(objects, key, request_, method):
    assert send(request_, BODY) == 200
    assert send(request_, b"", method=method, content_length="0") == 403
    assert send(request_, b"", method=method, content_length=str(len(BODY))) in {0, 403}
    assert await stored(objects, key) == BODY


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
async def test_a_url_for_a_get_neither_writes_nor_deletes(objects, key, request_, presigner, method):
    assert send(request_, BODY) == 200
    assert send(presigner.get(key, "a.csv"), b"", method=method) == 403
    assert await stored(objects, key) == BODY


@pytest.mark.parametrize(
    "path", ["", "/luna", "/luna/", "/luna?list-type=2", "/luna?uploads", "/luna?policy", "/luna?acl"]
)
@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
def test_nobody_without_a_signature_does_anything(object_server, path, method):
    request = PresignedRequest(method, object_server.url + path, {}, datetime.now(UTC))
    assert send(request, b"<x/>") in {400, 403, 405}
