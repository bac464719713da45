"""Bodies, compressed or not, that are broken, huge or deep: refused in time, in bounded memory."""

import gzip
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from hypothesis import strategies as st
from tests.threats.fuzzing import EXAMPLES, PEAK_BYTES, Client, Refused, holds_for, peak_bytes
from tests.threats.running import LocalLuna

JSON = "application/json"
LEVEL = {"kind": "local_level", "obs_var": 2.0, "level_var": 0.5}
BASES = {
    "kalman": {"results": [1.0, 2.0, None, 4.0]},
    "kalman/filter": {"model": LEVEL, "observations": [[1.0, None, 3.0]], "outputs": ["filtered_state"]},
    "kalman/forecast": {"model": LEVEL, "observations": [[1.0, 2.0, 3.0]], "steps": 3},
    "kalman/simulate": {"model": LEVEL, "length": 5, "draws": 2, "seed": 1},
    "kalman/fit": {"model": LEVEL, "observations": [[1.0, 2.0, 3.0, 2.0]], "max_iterations": 3},
}
SNIPPETS = [
    *("NaN", "Infinity", "-Infinity", "nan", "1e999", "-1e999", "1e-999", "-0", "0x10", "01", "1.", ".5", "+1", "1e"),
    *("9" * 400, "9" * 20, "-9223372036854775809", "18446744073709551616", "1" + "0" * 5000, "0." + "1" * 5000),
    *('"\\ud800"', '"\\udc00\\ud800"', '"\\u0000"', '"\\x41"', '"\x01"', '"\x7f"', "'a'", '"', "\ufeff", "\u2028"),
    *("null", "true", "[]", "{}", "[[]]", '{"a":1,"a":2}', '"results":[1],', '"kind":"local_level","kind":"x",'),
    *("[" * 2000, "{" * 2000, '{"a":' * 2000, "]" * 100, "," * 100, ":", "//c", "/* c */", "\\", "\0"),
    *('"__class__":', '"$ref":"#",', '"' + "a" * 100_000 + '"', "[" + "0," * 10_000 + "0]"),
]


@pytest.fixture(scope="module")
def key(luna: LocalLuna) -> str:
    return luna.new_caller(quota_limit=2**31 - 1).key.secret


@pytest.fixture
def client(luna: LocalLuna, key: str) -> Iterator[Client]:
    """A connection whose tests must leave it sane, and the replicas within their memory."""
    before = peak_bytes(luna)
    client = Client(luna, key)
    yield client
    client.is_sane()
    client.close()
    assert peak_bytes(luna) - before < PEAK_BYTES


@st.composite
def spoilt(draw: st.DrawFn) -> tuple[str, bytes]:
    """A path, and a valid body of it into which something was put, at one to three places."""
    path = draw(st.sampled_from(sorted(BASES)))
    text = json.dumps(BASES[path])
    for _ in range(draw(st.integers(1, 3))):
        begin = draw(st.integers(0, len(text)))
        end = draw(st.integers(begin, min(len(text), begin + 20)))
        text = text[:begin] + draw(st.sampled_from(SNIPPETS) | st.text(max_size=5)) + text[end:]
    return path, text.encode("utf-8", "surrogatepass")


@pytest.mark.parametrize("examples", EXAMPLES)
def test_json_with_anything_in_it_is_answered_200_or_refused(client: Client, examples: int) -> None:
    def check(sent: tuple[str, bytes]) -> None:
        path, body = sent
        status, answer = client.ask("POST", f"/api/v1/{path}", body, Content_Type=JSON)
        assert status == 200 or status in Refused, (status, answer)
        # NaN and infinity never leave as JSON.
        json.loads(answer, parse_constant=lambda name: pytest.fail(f"{name} in an answer"))

    holds_for(examples, check, sent=spoilt())


@pytest.mark.parametrize("examples", EXAMPLES)
def test_bytes_that_are_no_json_are_refused(client: Client, examples: int) -> None:
    def check(path: str, body: bytes) -> None:
        assert client.ask("POST", f"/api/v1/{path}", body, Content_Type=JSON)[0] in Refused

    holds_for(examples, check, path=st.sampled_from(sorted(BASES)), body=st.binary(max_size=200))


MB = 1024 * 1024
LARGE = {
    "brackets": b"[" * (10 * MB),
    "braces": b'{"a":' * (2 * MB),
    "closed brackets": b"[" * (5 * MB) + b"]" * (5 * MB),
    "series within the model": b'{"results":' + b"[" * (4 * MB) + b"]" * (4 * MB) + b"}",
    "digits": b'{"results":[' + b"1" * (9 * MB) + b"]}",
    "a fraction": b'{"results":[0.' + b"1" * (9 * MB) + b"]}",
    "an exponent": b'{"results":[1e' + b"1" * (9 * MB) + b"]}",
    "a string": b'{"results":"' + b"a" * (9 * MB) + b'"}',
    "escapes": b'{"results":"' + b"\\u0041" * (3 * MB // 2) + b'"}',
    "a name": b'{"' + b"a" * (9 * MB) + b'":1}',
    "names": b"{" + b",".join(b'"%d":0' % i for i in range(900_000)) + b"}",
    "empty objects": b'{"results":[' + b"{}," * (3 * MB) + b"{}]}",
    "nulls": b'{"results":[' + b"null," * (9 * MB // 5) + b"null]}",
    "spaces": b" " * (10 * MB - 2) + b"{}",
    "one byte too many": b" " * (10 * MB + 1),
}


@pytest.mark.parametrize("name", LARGE)
@pytest.mark.parametrize("path", ["kalman", "kalman/filter"])
def test_ten_megabytes_of_anything_are_refused_in_time(client: Client, path: str, name: str) -> None:
    status, _ = client.ask("POST", f"/api/v1/{path}", LARGE[name], Content_Type=JSON)
    # A fraction with nine million digits is a number.
    assert status in Refused or (path, name, status) == ("kalman", "a fraction", 200)


def zstd(data: bytes) -> bytes:
    return bytes(pa.compress(data, codec="zstd", asbytes=True))


ZEROS = b"0" * (16 * MB)
WINDOW = bytes.fromhex("28b52ffd 00 88 110000") + b"{}"  # a frame of two bytes that asks for a window of 128 MB
BOMBS = {
    "a gigabyte of members": ("gzip", gzip.compress(ZEROS) * 64),
    "a gigabyte of frames": ("zstd", zstd(ZEROS) * 64),
    "packed twice": ("gzip", gzip.compress(gzip.compress(ZEROS) * 64)),
    "a window of 128 MB": ("zstd", WINDOW),
    "a window of 2 GB": ("zstd", bytes.fromhex("28b52ffd 00 a8 110000") + b"{}"),
    "a content size of 2**62": ("zstd", bytes.fromhex("28b52ffd c0 a8 0000000000000040 110000") + b"{}"),
    "skippable frames": ("zstd", bytes.fromhex("502a4d18 00000000") * 200_000),
    "empty members": ("gzip", gzip.compress(b"") * 100_000),
    "a member's name of megabytes": ("gzip", bytes.fromhex("1f8b0808 00000000 0003") + b"n" * (9 * MB)),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_in_bounded_memory(client: Client, name: str) -> None:
    coding, body = BOMBS[name]
    status, _ = client.ask("POST", "/api/v1/kalman", body, Content_Type=JSON, Content_Encoding=coding)
    assert status in Refused


@st.composite
def spoilt_coding(draw: st.DrawFn) -> tuple[str, bytes]:
    """A compressed body that is cut, changed, extended or declared as another coding."""
    packed = {"gzip": gzip.compress, "zstd": zstd}[draw(st.sampled_from(["gzip", "zstd"]))](b'{"results":[1,2,3]}')
    body = bytearray(packed[: draw(st.integers(0, len(packed)))] if draw(st.booleans()) else packed)
    for _ in range(draw(st.integers(0, 3))):
        if body:
            body[draw(st.integers(0, len(body) - 1))] = draw(st.integers(0, 255))
    body += draw(st.sampled_from([b"", b"\0", b"garbage", packed, packed[:7]]))
    coding = draw(st.sampled_from(["gzip", "zstd", "x-gzip", "identity", "br", "gzip, zstd", "deflate", "GZIP "]))
    return coding, bytes(body)


@pytest.mark.parametrize("examples", EXAMPLES)
def test_a_broken_coding_is_refused_unless_the_json_is_whole(client: Client, examples: int) -> None:
    def check(sent: tuple[str, bytes]) -> None:
        coding, body = sent
        status, answer = client.ask("POST", "/api/v1/kalman", body, Content_Type=JSON, Content_Encoding=coding)
        assert status == 200 or status in Refused, (status, answer)

    holds_for(examples, check, sent=spoilt_coding())


def test_many_bombs_at_once_are_refused_in_bounded_memory(luna: LocalLuna, key: str, client: Client) -> None:
    coding, body = BOMBS["a gigabyte of members"]

    def attack(_: int) -> int:
        attacker = Client(luna, key)
        try:
            return attacker.ask("POST", "/api/v1/kalman", body, Content_Type=JSON, Content_Encoding=coding)[0]
        finally:
            attacker.close()

    with ThreadPoolExecutor(16) as pool:
        statuses = set(pool.map(attack, range(32)))
    assert statuses <= {408, 413}
