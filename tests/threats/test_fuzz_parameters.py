"""Query strings, cursors, ids, forms and headers with anything in them: 200 or a refusal, never a 5xx."""

import base64
import json
import uuid
from collections.abc import Iterator
from urllib.parse import quote, quote_from_bytes

import pytest
from hypothesis import strategies as st
from tests.threats.fuzzing import EXAMPLES, Client, Refused, holds_for
from tests.threats.running import LocalLuna

LISTS = ["models", "models/some/versions", "kalman/streams"]
NASTY = ["", "\0", "\ud800", "a" * 600, "%00", "../..", "' OR 1=1 --", "\u202e", "1e999", "-1", "0", str(2**63), "NaN"]
values = st.sampled_from(NASTY) | st.text(max_size=20) | st.binary(max_size=20).map(lambda b: b.decode("latin-1"))
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.sampled_from(
        ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59", "2026-01-01T00:00:00Z", str(uuid.uuid4())]
    )
    | values,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(values, inner, max_size=2),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def client(luna: LocalLuna) -> Iterator[Client]:
    client = Client(luna, luna.new_caller(quota_limit=2**31 - 1).key.secret)
    yield client
    client.is_sane()
    client.close()


def encoded(value: str) -> str:
    return quote_from_bytes(value.encode("utf-8", "surrogatepass"), safe="")


def is_answered(client: Client, path: str) -> None:
    status, answer = client.ask("GET", path)
    assert status in {200, 304} or status in Refused, (status, answer)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_cursor_is_read_or_refused(client: Client, examples: int) -> None:
    names = st.sampled_from(["models", "versions", "kalman/streams", "other", 1, None])

    def check(path: str, name: object, key: object, loose: str, is_loose: bool) -> None:
        text = json.dumps([name, key])
        made = base64.urlsafe_b64encode(text.encode("utf-8", "surrogatepass")).decode().rstrip("=")
        is_answered(client, f"/api/v1/{path}?cursor={encoded(loose) if is_loose else quote(made)}")

    holds_for(
        examples,
        check,
        path=st.sampled_from(LISTS),
        name=names,
        key=json_values | st.tuples(st.sampled_from(["2026-01-01T00:00:00Z", "0001-01-01T00:00:00Z"]), json_values),
        loose=values,
        is_loose=st.booleans(),
    )


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_query_is_read_or_refused(client: Client, examples: int) -> None:
    paths = st.sampled_from(["usage", "models", "models/some", "kalman/streams", "account", "auth/me"])
    names = st.sampled_from(["since", "until", "step", "limit", "after", "before", "version", "cursor"]) | values

    def check(path: str, pairs: list[tuple[str, str]], raw: bytes) -> None:
        query = "&".join(f"{encoded(name)}={encoded(value)}" for name, value in pairs)
        is_answered(client, f"/api/v1/{path}?{query}")
        is_answered(client, f"/api/v1/{path}?{quote_from_bytes(raw, safe='=&+;%?/')}")

    holds_for(examples, check, path=paths, pairs=st.lists(st.tuples(names, values)), raw=st.binary(max_size=40))


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_id_is_found_or_refused(client: Client, examples: int) -> None:
    paths = st.sampled_from(["models/{}", "models/{}/versions", "kalman/streams/{}", "{}", "{}/usage", "{}/models/a"])
    ids = values | st.sampled_from(["{" + str(uuid.uuid4()) + "}", f"urn:uuid:{uuid.uuid4()}", "0" * 32, "00000000001"])

    def check(path: str, id_: str, method: str) -> None:
        status, answer = client.ask(method, "/api/v1/" + path.format(encoded(id_)))
        assert status in {200, 204} or status in Refused, (status, answer)

    holds_for(examples, check, path=paths, id_=ids, method=st.sampled_from(["GET", "DELETE", "HEAD"]))


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_form_of_the_token_route_is_refused(client: Client, examples: int) -> None:
    names = st.sampled_from(["grant_type", "client_id", "client_secret"]) | values

    def check(pairs: list[tuple[str, str]], raw: bytes, is_raw: bool, basic: bytes, address: int) -> None:
        form = "&".join(f"{encoded(name)}={encoded(value)}" for name, value in pairs)
        headers = {"Content_Type": "application/x-www-form-urlencoded"}
        if basic:
            headers["Authorization"] = f"Basic {base64.b64encode(basic).decode()}"
        # Each from its own address, or the block of the address would answer.
        headers["X_Forwarded_For"] = f"10.1.{address >> 8}.{address & 255}"
        status, answer = client.ask("POST", "/api/v1/auth/token", raw if is_raw else form.encode(), **headers)
        assert status in Refused, (status, answer)
        assert b'"type"' in answer

    holds_for(
        examples,
        check,
        pairs=st.lists(st.tuples(names, values), max_size=4)
        | st.just([("grant_type", "client_credentials"), ("client_id", "1"), ("client_secret", "\0")]),
        raw=st.binary(max_size=60),
        is_raw=st.booleans(),
        basic=st.binary(max_size=30),
        address=st.integers(0, 65535),
    )


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_body_of_the_routes_of_people_is_refused(client: Client, examples: int) -> None:
    paths = st.sampled_from(["login", "refresh", "logout", "password", "password/link"])
    members = st.sampled_from(
        ["email", "password", "account_id", "refresh_token", "token", "current_password", "new_password"]
    )
    bodies = st.dictionaries(members | values, json_values, max_size=4) | json_values

    def check(path: str, body: object, address: int) -> None:
        sent = json.dumps(body).encode("utf-8", "surrogatepass")
        forwarded = f"10.2.{address >> 8}.{address & 255}"
        status, answer = client.ask(
            "POST", f"/api/v1/auth/{path}", sent, Content_Type="application/json", X_Forwarded_For=forwarded
        )
        # 204: a sign-out with an unknown token ends nothing (RFC 7009, section 2.2).
        assert status in Refused or (status, path) == (204, "logout"), (status, answer)

    holds_for(examples, check, path=paths, body=bodies, address=st.integers(0, 65535))


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_header_is_read_or_refused(client: Client, examples: int) -> None:
    names = st.sampled_from(
        [
            *("If_Match", "If_None_Match", "Accept", "traceparent", "X_Forwarded_For", "Forwarded", "X_Request_ID"),
            *("X_Request_Timeout_Seconds", "Range", "Accept_Encoding", "Origin", "Cookie", "Idempotency_Key"),
        ]
    )
    printable = st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=30)
    texts = printable | st.sampled_from(["*", 'W/"1"', '"1","2"', "q=NaN", "text/csv;q=1e400", "00-" + "0" * 52, ","])

    def check(path: str, name: str, text: str) -> None:
        status, answer = client.ask("GET", f"/api/v1/{path}", **{name: text})
        assert status in {200, 304} or status in Refused, (status, answer)

    holds_for(examples, check, path=st.sampled_from(["usage", "models/some", "account"]), name=names, text=texts)
