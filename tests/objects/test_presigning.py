"""Presigned URLs: as botocore signs them, and as Amazon's own example has them."""

import base64
import hashlib
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

import pytest
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as BotoCredentials
from hypothesis import given
from hypothesis import strategies as st
from tests.objects.fixture import incoming_key

from luna_serving.objects.access import ObjectAccess
from luna_serving.objects.keys import sealed_key
from luna_serving.objects.presigning import Presigner, disposition
from luna_serving.objects.sigv4 import Credentials, presigned_url
from luna_serving.settings import ObjectsSettings

AT = datetime(2026, 11, 29, 7, 5, 9, tzinfo=UTC)
CREDENTIALS = Credentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "eu-central-1")
SHA256 = hashlib.sha256(b"body").hexdigest()


def botocores(method: str, endpoint: str, path: str, query: dict[str, str], headers: dict[str, str]) -> dict[str, str]:
    """The signed query by botocore, at `AT`."""
    from urllib.parse import quote

    import botocore.auth

    request = AWSRequest(method, endpoint + quote(path, safe="/-_.~"), headers=headers, params=query)
    auth = S3SigV4QueryAuth(
        BotoCredentials(CREDENTIALS.access_key, CREDENTIALS.secret_key), "s3", CREDENTIALS.region, expires=900
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.auth, "get_current_datetime", lambda *_: AT.replace(tzinfo=None))
        auth.add_auth(request)
    return read(request.url)


def ours(method: str, endpoint: str, path: str, query: dict[str, str], headers: dict[str, str]) -> dict[str, str]:
    url = presigned_url(CREDENTIALS, method, endpoint, path, query=query, headers=headers, expires_s=900, at=AT)
    return read(url)


def read(url: str) -> dict[str, str]:
    parts = urlsplit(url)
    values = {name: value for name, [value] in parse_qs(parts.query, keep_blank_values=True).items()}
    return {"": f"{parts.scheme}://{parts.netloc}{parts.path}", **values}


PUT = {
    "Content-Length": "4",
    "Content-Type": "text/csv; charset=utf-8",
    "x-amz-checksum-sha256": base64.b64encode(bytes.fromhex(SHA256)).decode(),
    "If-None-Match": "*",
}
CASES = {
    "a put with everything signed": ("PUT", "https://s3.example.com", "/luna/accounts/1/incoming/x", {}, PUT),
    "a key with a space": ("GET", "https://s3.example.com", "/luna/a b", {}, {}),
    "a key with a plus": ("GET", "https://s3.example.com", "/luna/a+b", {}, {}),
    "a key in UTF-8": ("GET", "https://s3.example.com", "/luna/größe/数据/🌙", {}, {}),
    "a key with every reserved character": ("GET", "https://s3.example.com", "/luna/!*'();:@&=$,?#[]%~", {}, {}),
    "a key with doubled slashes": ("GET", "https://s3.example.com", "/luna/a//b/", {}, {}),
    "a port of its own": ("GET", "http://127.0.0.1:8333", "/luna/a", {}, {}),
    "the scheme's own port": ("GET", "https://s3.example.com:443", "/luna/a", {}, {}),
    "a host with the bucket": ("GET", "https://luna.s3.example.com", "/a", {}, {}),
    "a part": ("PUT", "https://s3.example.com", "/luna/a", {"partNumber": "7", "uploadId": "a/b+c=="}, {}),
    "a download": (
        "GET",
        "https://s3.example.com",
        "/luna/a",
        {"response-content-disposition": disposition('größe "1" + 2.csv'), "response-content-type": "text/csv"},
        {},
    ),
    "a head": ("HEAD", "https://s3.example.com", "/luna", {}, {}),
    "a header with spaces": ("PUT", "https://s3.example.com", "/luna/a", {}, {"x-amz-meta-a": "  one   two "}),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_a_url_is_the_one_that_botocore_signs(case):
    method, endpoint, path, query, headers = case
    theirs = botocores(method, endpoint, path, query, dict(headers))
    mine = ours(method, endpoint, path, query, headers)
    assert mine | {"": ""} == theirs | {"": ""}
    assert mine[""] == theirs[""].replace(":443/", "/")


TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=30)


@given(path=TEXT, query=st.dictionaries(st.from_regex(r"[a-z-]{3,12}", fullmatch=True), TEXT, max_size=3))
def test_any_key_and_any_query_are_signed_as_by_botocore(path, query):
    case = ("PUT", "https://s3.example.com", f"/luna/{path}", query, PUT)
    assert ours(*case) == botocores(*case[:4], dict(PUT))


def test_amazons_own_example_has_the_signature_that_amazon_prints():
    # "Authenticating Requests: Using Query Parameters (AWS Signature Version 4)", Amazon S3 API Reference.
    url = presigned_url(
        Credentials("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1"),
        "GET",
        "https://examplebucket.s3.amazonaws.com",
        "/test.txt",
        query={},
        headers={},
        expires_s=86_400,
        at=datetime(2013, 5, 24, tzinfo=UTC),
    )
    assert read(url)["X-Amz-Signature"] == "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"


def presigner(**settings):
    return Presigner(CREDENTIALS, "https://s3.example.com", "luna", ObjectsSettings(**settings))


def test_a_put_signs_size_type_digest_and_that_nothing_is_there():
    request = presigner().put(incoming_key(7), 4, "text/csv", SHA256, at=AT)
    assert request.headers == PUT | {"Content-Type": "text/csv"}
    signed = read(request.url)["X-Amz-SignedHeaders"].split(";")
    assert signed == sorted(["host", *(name.lower() for name in request.headers)])
    assert request.as_dict()["expires_at"] == "2026-11-29T07:20:09Z"


@pytest.mark.parametrize(
    ("algorithm", "header"),
    [("crc32c", "x-amz-checksum-crc32c"), ("md5", "Content-MD5"), ("none", None)],
)
def test_the_checksum_is_the_one_of_the_store(algorithm, header):
    request = presigner(checksum=algorithm).put(
        incoming_key(7), 4, "text/csv", SHA256, digests={"crc32c": b"1234", "md5": b"5678"}
    )
    found = [name for name in request.headers if "checksum" in name or name == "Content-MD5"]
    assert found == [header] * (header is not None)


def test_a_digest_that_the_client_did_not_declare_is_not_signed():
    assert "Content-MD5" not in presigner(checksum="md5").put(incoming_key(7), 4, "text/csv", SHA256).headers


def test_a_store_without_conditional_writes_is_asked_for_none():
    assert "If-None-Match" not in presigner(put_once=False).put(incoming_key(7), 4, "text/csv", SHA256).headers


def test_where_buckets_are_hosts_the_bucket_is_in_the_host():
    url = urlsplit(presigner(addressing="virtual").get("a/b", "b").url)
    assert (url.netloc, url.path) == ("luna.s3.example.com", "/a/b")


@pytest.mark.parametrize(
    "key",
    [sealed_key(7), "accounts/7/incoming", "accounts/7/incoming/../x/y", "x"],
    ids=["sealed", "no name", "climbing", "outside"],
)
def test_no_url_writes_outside_incoming(key):
    with pytest.raises(ValueError, match="no incoming key"):
        presigner().put(key, 4, "text/csv", SHA256)
    with pytest.raises(ValueError, match="no incoming key"):
        presigner().part(key, "upload", 1, 4)


def test_a_name_cannot_leave_its_header():
    assert disposition('a"; x="b\r\n.csv') == (
        "attachment; filename=\"a_; x=_b__.csv\"; filename*=UTF-8''a%22%3B%20x%3D%22b%0D%0A.csv"
    )


def test_the_secret_stands_in_no_url_and_in_no_text():
    request = presigner().get("a", "a")
    for text in (request.url, repr(presigner()), repr(CREDENTIALS), repr(ObjectAccess(s3_secret_access_key="hidden"))):
        assert CREDENTIALS.secret_key not in text
        assert "hidden" not in text


@pytest.mark.parametrize(
    ("variables", "named"),
    [
        ({"S3_ENDPOINT": "s3.example.com"}, "S3_ENDPOINT must be a URL"),
        ({"S3_ENDPOINT": "https://s3.example.com"}, "S3_ACCESS_KEY_ID is not set"),
        ({"S3_ENDPOINT": "https://s3.example.com", "S3_ACCESS_KEY_ID": "a"}, "S3_SECRET_ACCESS_KEY is not set"),
    ],
)
def test_a_store_that_is_half_configured_is_named_at_the_start(monkeypatch, variables, named):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=named):
        ObjectAccess.from_environment()
    for name in variables:
        monkeypatch.delenv(name)
    assert ObjectAccess.from_environment() is None
