"""The request log holds one row for every answered request, and says of it what was so."""

import asyncio
import uuid

import httpx
import pytest
from tests.access.logged import logged
from tests.store.stores import PEPPERS, Store

from luna_serving.access.credentials import Credential
from luna_serving.access.request_log.rows import Rows
from luna_store.accounts.api_keys import ApiKey

JSON = {"Content-Type": "application/json"}


async def test_every_answer_is_one_row_with_its_status_size_and_caller(store: Store) -> None:
    caller, other = await store.account(), await store.account()
    stranger = ApiKey.issue()
    own, theirs = f"/api/v1/{caller.account_id}", f"/api/v1/{other.account_id}"
    asked = [
        ("POST", f"{own}/echo", '"hello"', 200, "echo"),
        ("POST", "/api/v1/echo", '"hello"', 200, "echo"),
        ("POST", f"{own}/echo", '"wrong"', 422, "echo"),
        ("POST", f"{own}/echo", '"fail"', 500, "echo"),
        ("GET", f"{own}/echo", None, 405, "echo"),
        ("GET", f"{own}/requests?limit=1", None, 200, "requests"),
        ("HEAD", f"{own}/requests?limit=1", None, 200, "requests"),
        ("GET", f"{own}/requests?limit=0", None, 422, "requests"),
        ("POST", f"{theirs}/echo", "1", 403, "echo"),
        ("GET", f"{theirs}/requests", None, 403, "requests"),
        ("POST", "/api/v1/2000000000/echo", "1", 404, "echo"),
        ("GET", "/wp-admin", None, 404, "unknown"),
    ]
    async with logged(store) as luna, luna.client(caller) as client, luna.client() as nobody:
        answers = []
        for number, (method, path, body, _, _) in enumerate(asked):
            headers = JSON | {"X-Request-ID": f"known-{number}"}
            answers.append(await client.request(method, path, content=body, headers=headers))
        for number, key in enumerate([None, "luna_x", stranger.secret, stranger.secret]):
            headers = JSON | {"X-Request-ID": f"unknown-{number}"} | ({"X-API-Key": key} if key else {})
            path = f"{own}/echo" if number < 3 else "/api/v1/requests"
            answers.append(await nobody.request("POST" if number < 3 else "GET", path, content="1", headers=headers))
        rows = {row.request_id: row for row in await luna.rows()}
    assert len(rows) == len(answers)
    for number, (method, _, _, status, route) in enumerate(asked):
        row, answer = rows[f"known-{number}"], answers[number]
        assert (row.method, row.route, row.status) == (method, route, status), number
        assert answer.status_code == status
        assert row.bytes == len(answer.content)
        if route != "unknown":  # no credential is read where nothing is served
            assert (row.account_id, row.principal) == (caller.account_id, caller.key.prefix), number
        assert 0 < row.milliseconds < 30_000
        assert str(row.address) == "127.0.0.0/24"
    for number in range(4):
        row = rows[f"unknown-{number}"]
        assert (row.status, row.account_id, row.principal) == (401, None, None)
    assert len({row.id for row in rows.values()}) == len(rows)


async def test_a_caller_who_hangs_up_is_a_row_of_499(store: Store) -> None:
    caller = await store.account()
    async with logged(store) as luna:
        async with luna.client(caller) as client:
            with pytest.raises(httpx.ReadTimeout):
                await client.post("/api/v1/echo", content='"slow"', headers=JSON, timeout=0.2)
        async with asyncio.timeout(20):
            while not (rows := await luna.rows()):  # noqa: ASYNC110  it comes when the server notices
                await asyncio.sleep(0.05)
    assert [(row.route, row.status, row.bytes) for row in rows] == [("echo", 499, 0)]


async def test_health_checks_are_not_logged(store: Store) -> None:
    caller = await store.account()
    async with logged(store) as luna, luna.client(caller) as client:
        assert (await client.get("/health/ready")).status_code == 200
        assert (await client.post("/api/v1/echo", content="1", headers=JSON)).status_code == 200
        assert [row.route for row in await luna.rows()] == ["echo"]


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.77", "203.0.113.0/24"),
        ("::ffff:203.0.113.77", "203.0.113.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/48"),
        ("fe80::1%eth0", "fe80::/48"),
        ("/run/luna.sock", "None"),
        ("", "None"),
    ],
)
async def test_an_address_is_truncated_before_it_leaves_the_process(store: Store, address: str, network: str) -> None:
    caller, sent = await store.account(), []

    async def write(body: bytes) -> None:
        sent.append(body)

    async with logged(store, address=lambda *_: address) as luna, luna.client(caller) as client:
        await client.post("/api/v1/echo", content="1", headers=JSON)
        assert [str(row.address) for row in await luna.rows()] == [network]
    async with logged(store, address=lambda *_: address, write_with=write) as luna, luna.client(caller) as client:
        await client.post("/api/v1/echo", content="1", headers=JSON)
        await luna.flushed()
    assert b"\x03\x04\x05\x06" not in b"".join(sent)
    assert bytes([203, 0, 113, 77]) not in b"".join(sent)


async def test_a_token_is_logged_under_the_key_that_it_was_issued_for(store: Store) -> None:
    from tests.edge.running import TOKENS

    from luna_serving.access.tokens import Token

    caller = await store.account()
    token = TOKENS.issue(Token(caller.account_id, caller.key.prefix))
    async with logged(store) as luna, luna.client(Authorization=f"Bearer {token}") as client:
        assert (await client.get("/api/v1/requests")).status_code == 200
        (row,) = await luna.rows()
    assert (row.account_id, row.principal) == (caller.account_id, caller.key.prefix)
    assert PEPPERS.digest(caller.key) not in str(row)


async def test_a_flood_of_unknown_callers_is_bounded_and_hides_no_known_one(store: Store) -> None:
    caller = await store.account()
    async with (
        logged(store, flush_s=60, unknown_rows=3) as luna,
        luna.client() as nobody,
        luna.client(caller) as client,
    ):
        for _ in range(10):
            assert (await nobody.post("/api/v1/echo", content="1", headers=JSON)).status_code == 401
        assert (await client.post("/api/v1/echo", content="1", headers=JSON)).status_code == 200
        assert [row.status for row in await luna.rows()] == [401, 401, 401, 200]
        assert luna.value("luna_request_log_left_out_total") == 7
        assert luna.value("luna_request_log_dropped_total") == 0


def test_a_person_is_named_by_id_and_never_by_address_or_session() -> None:
    person, session = uuid.uuid4(), uuid.uuid4()
    credential = Credential(f"session:{session.hex}:admin", (), token_account=7, user_id=person)
    rows = Rows(lambda found: found.token_account, frozenset())
    (row,) = rows.of([(1.0, 0.5, credential, "GET", "usage", 200, 10, "id", "203.0.113.9")])
    assert f"user:{person}".encode() in row
    assert session.hex.encode() not in row


@pytest.mark.parametrize(("method", "shown"), [("PROPFIND", b"PROPFIND"), ("=cmd()", b"_OTHER"), ("GET\n", b"_OTHER")])
def test_a_method_that_is_none_is_not_repeated(method: str, shown: bytes) -> None:
    rows = Rows(lambda _: None, frozenset())
    rows.strangers = 1
    (row,) = rows.of([(1.0, 0.5, None, method, "unknown", 404, 10, "id", "")])
    assert shown in row
    assert (method.encode() in row) is (shown != b"_OTHER")
