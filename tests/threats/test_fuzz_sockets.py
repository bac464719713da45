"""WebSocket frames and messages that are broken: an error or a close code, never a failure of ours."""

import base64
import json
import os
import struct
import zlib
from collections.abc import Iterator

import pytest
from hypothesis import strategies as st
from tests.serving.platform import Caller
from tests.serving.stream_client import LEVEL, socket_url
from tests.threats.fuzzing import EXAMPLES, PEAK_BYTES, Client, holds_for, peak_bytes
from tests.threats.logs import lines_of, own_logs
from tests.threats.running import LocalLuna
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

OPEN = {"type": "open", "model": LEVEL}
# RFC 6455, section 7.4.1: our failure is 1011.
INTERNAL_ERROR = 1011


@pytest.fixture(scope="module")
def caller(luna: LocalLuna) -> Caller:
    return luna.new_caller(quota_limit=2**31 - 1)


@pytest.fixture(autouse=True)
def sane(luna: LocalLuna, caller: Caller) -> Iterator[None]:
    """Afterwards the replicas have not grown, nothing has failed, and a stream works."""
    before = peak_bytes(luna)
    yield
    with dialled(caller) as connection:
        assert told(connection, json.dumps(OPEN))["type"] == "opened"
        assert told(connection, json.dumps({"type": "points", "sequence": 1, "values": [1.0]}))["type"] == "filtered"
    client = Client(luna, caller.key.secret)
    client.is_sane()
    client.close()
    assert peak_bytes(luna) - before < PEAK_BYTES
    assert not [line for log in own_logs(luna) for line in lines_of(log) if "the connection failed" in line]


def dialled(caller: Caller) -> ClientConnection:
    return connect(socket_url(caller), additional_headers={"X-API-Key": caller.key.secret}, max_size=None)


def told(connection: ClientConnection, message: str | bytes) -> dict[str, object]:
    connection.send(message)
    return dict(json.loads(connection.recv(timeout=30)))


NUMBERS = [0, -1, 1, 2, 2**31, 2**53, 2**53 + 1, 2**64, 1e308, -0.0, None, True, "1", [], {}, [1.0], "NaN"]
VALUES = st.sampled_from(NUMBERS) | st.lists(st.sampled_from(NUMBERS), max_size=4) | st.text(max_size=5)
MESSAGES = st.fixed_dictionaries(
    {"type": st.sampled_from(["open", "resume", "points", "close", "", None, "opened"])},
    optional={
        "model": st.sampled_from(
            [LEVEL, "some", {}, {"kind": "x"}, None, LEVEL | {"obs_var": -1}, {"name": "a", "v": 1}]
        ),
        "outputs": st.sampled_from([[], ["filtered_state"], ["filtered_state"] * 9, ["x"], "x", None]),
        "sequence": VALUES,
        "values": VALUES,
        "stream": VALUES | st.just("00000000-0000-0000-0000-000000000000"),
        "after": VALUES,
        "lag": VALUES,
        "outlier_threshold": VALUES,
        "more": VALUES,
    },
)
RAW = (
    st.text(max_size=40)
    | st.binary(max_size=40)
    | st.sampled_from(
        [
            *("[" * 100_000, '{"type":' * 20_000, '{"type":"points","sequence":1,"values":[NaN]}', '{"a":1,"a":2}'),
            *('{"type":"points","sequence":1,"values":[1e999]}', '{"type":"open","model":"\\ud800"}', "9" * 100_000),
            *("\0", ""),
        ]
    )
)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_any_message_is_answered_or_ends_the_connection_by_a_code_of_its_own(caller: Caller, examples: int) -> None:
    def check(first: bool, messages: list[object]) -> None:
        with dialled(caller) as connection:
            if first:
                told(connection, json.dumps(OPEN))
            for message in messages:
                sent = message if isinstance(message, str | bytes) else json.dumps(message)
                try:
                    answer = told(connection, sent)
                except ConnectionClosed:
                    break
                assert answer["type"] in {"opened", "resumed", "filtered", "error"}, answer
                if answer["type"] == "error":
                    problem = answer["problem"]
                    assert isinstance(problem, dict)
                    assert 400 <= problem["status"] < 500, problem
            assert connection.close_code not in {INTERNAL_ERROR, 1006}, messages

    holds_for(examples, check, first=st.booleans(), messages=st.lists(MESSAGES | RAW, min_size=1, max_size=4))


def frame(opcode: int, payload: bytes = b"", *, fin: int = 1, reserved: int = 0, masked: bool = True) -> bytes:
    """A frame (RFC 6455, section 5.2)."""
    head = bytes((fin << 7 | reserved << 4 | opcode,))
    flag = 128 if masked else 0
    if len(payload) < 126:
        head += bytes((flag | len(payload),))
    elif len(payload) < 65_536:
        head += bytes((flag | 126,)) + struct.pack(">H", len(payload))
    else:
        head += bytes((flag | 127,)) + struct.pack(">Q", len(payload))
    # A mask of zeros leaves the payload as it is.
    return head + (b"\0\0\0\0" if masked else b"") + payload


def deflated(megabytes: int) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    packed = b"".join(packer.compress(b" " * 2**20) for _ in range(megabytes))
    return (packed + packer.flush(zlib.Z_SYNC_FLUSH))[:-4]


TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
FRAMES = {
    "unmasked": frame(TEXT, b"{}", masked=False),
    "a reserved bit": frame(TEXT, b"{}", reserved=1),
    "a reserved opcode": frame(3, b"{}"),
    "a reserved control opcode": frame(11),
    "a continuation of nothing": frame(0, b"{}"),
    "a text amid fragments": frame(TEXT, b"{", fin=0) + frame(TEXT, b"}"),
    "a fragmented ping": frame(PING, b"a", fin=0),
    "a ping beyond 125 bytes": frame(PING, b"a" * 126),
    "text that is not UTF-8": frame(TEXT, b"\xff\xfe"),
    "a close of one byte": frame(CLOSE, b"\x03"),
    "a close with a code of nobody": frame(CLOSE, struct.pack(">H", 1005)),
    "a close whose reason is not UTF-8": frame(CLOSE, struct.pack(">H", 1000) + b"\xff"),
    "a length of 2**63": bytes((129, 255)) + struct.pack(">Q", 2**63) + b"\0\0\0\0",
    "a length of 2**62": bytes((129, 255)) + struct.pack(">Q", 2**62) + b"\0\0\0\0",
    "17 MB in a frame": frame(TEXT, b" " * (17 * 2**20)),
    "17 MB in fragments": frame(TEXT, b" ", fin=0) + frame(0, b" " * 2**20, fin=0) * 17,
    "a million empty fragments": frame(TEXT, b"", fin=0) + frame(0, b"", fin=0) * 1_000_000,
    "a gigabyte, deflated": frame(TEXT, deflated(1024), reserved=4),
    "deflated garbage": frame(TEXT, b"\x07garbage", reserved=4),
    "ten thousand pings": frame(PING, b"a" * 125) * 10_000,
    "HTTP": b"GET /health/live HTTP/1.1\r\nHost: luna\r\n\r\n",
}
ENDLESS = {"a million empty fragments", "ten thousand pings", "a length of 2**62"}


@pytest.mark.parametrize("name", FRAMES)
def test_a_malformed_frame_ends_its_connection_alone(luna: LocalLuna, caller: Caller, name: str) -> None:
    upgrade = (
        f"GET /api/v1/kalman/stream HTTP/1.1\r\nHost: luna\r\nX-API-Key: {caller.key.secret}\r\n"
        "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Extensions: permessage-deflate\r\n"
        f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n"
    )
    with dialled(caller) as bystander, luna.connect(30) as connection:
        connection.sendall(upgrade.encode())
        received = b""
        while b"\r\n\r\n" not in received:
            received += connection.recv(4096)
        assert received.startswith(b"HTTP/1.1 101 ")
        answer = b""
        try:
            connection.sendall(FRAMES[name])
            if name in ENDLESS:
                # Neither is an error in itself; the frames must only cost little.
                connection.sendall(frame(CLOSE, struct.pack(">H", 1000)))
                connection.settimeout(5)
            while piece := connection.recv(65_536):
                answer += piece
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            pass
        assert struct.pack(">H", INTERNAL_ERROR) not in answer[-125:]
        # Another connection of the same replica, perhaps, goes on.
        assert told(bystander, json.dumps(OPEN))["type"] == "opened"
