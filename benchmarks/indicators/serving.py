"""Luna as a client sees it: a market that is imported, one large POST, and whether its answer is right."""

import http.client
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import httpx
import numpy as np
import pyarrow as pa
from benchmarks.http.servers import Server, WrongAnswerError

from .workload import TEN, Market, talib_loop

ARROW = "application/vnd.apache.arrow.stream"
VISIBLE_S = 60.0
RTOL = 1e-9


def account_url(server: Server) -> str:
    """The root of the account's routes."""
    return f"{server.origin}{server.path.removesuffix('/kalman')}"


def run_import(data_dir: Path, file: Path) -> None:
    """Import a file into the server's market."""
    program = Path(sys.executable).with_name("luna")
    command = [str(program), "market", "import", "--data-dir", str(data_dir), str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise WrongAnswerError(f"luna market import ended with status {done.returncode}: {done.stderr[-2000:]}")


def wait_until_served(server: Server, path: str) -> None:
    """Return once a route below the account's answers: the market's new version reaches replicas within a second."""
    ends_at = time.monotonic() + VISIBLE_S
    with httpx.Client(headers={"X-API-Key": server.api_key}, timeout=30, trust_env=False) as client:
        while True:
            answer = client.get(f"{account_url(server)}/{path}")
            if answer.is_success:
                return
            if time.monotonic() > ends_at:
                raise WrongAnswerError(f"{path} is not served: {answer.status_code} {answer.text[:300]}")
            time.sleep(0.5)


def body_of(market: Market) -> bytes:
    """The POST: all symbols, the ten indicators."""
    items = [{"id": each.name, "name": each.name, "params": dict(each.params)} for each in TEN]
    return json.dumps({"symbols": market.symbols, "indicators": items, "interval": "1d"}).encode()


class Batch:
    """Sends the POST over one connection that stays open, and reads the answer into memory that stays, too.

    Memory that a process has just been given costs more per byte, at its first use, than what is measured here.
    """

    def __init__(self, server: Server, market: Market) -> None:
        where = urlsplit(account_url(server))
        self._path = f"{where.path}/indicators"
        self._connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=300)
        self._body = body_of(market)
        self._headers = {"X-API-Key": server.api_key, "Content-Type": "application/json", "Accept": ARROW}
        self._memory = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def call(self) -> tuple[float, memoryview]:
        """The seconds from the first byte sent to the last byte received, and the answer, until the next call."""
        begun = time.perf_counter()
        self._connection.request("POST", self._path, self._body, self._headers)
        answer = self._connection.getresponse()
        size = int(answer.headers["Content-Length"])
        if size > len(self._memory):
            self._memory = bytearray(size)
        into = memoryview(self._memory)[:size]
        read = 0
        while read < size and (received := answer.readinto(into[read:])):
            read += received
        seconds = time.perf_counter() - begun
        if answer.status != httpx.codes.OK or read < size:
            raise WrongAnswerError(f"POST /indicators: {answer.status}, {read} bytes, {bytes(into[:500])!r}")
        return seconds, into


def check(content: bytes | memoryview, market: Market, every: int = 50) -> None:
    """Compare the answer of one symbol in `every` with TA-Lib's; all symbols must be there.

    Raises:
        WrongAnswerError: a row or a value is missing or wrong.
    """
    table = pa.ipc.open_stream(content).read_all()
    rows = len(market.symbols) * len(TEN) * len(market.days)
    if table.num_rows != rows:
        raise WrongAnswerError(f"{table.num_rows} rows instead of {rows}")
    place = {name: i for i, name in enumerate(market.symbols)}
    seen = 0
    for batch in table.to_batches(len(market.days)):
        symbols, ids = batch.column("symbol"), batch.column("id")
        symbol = place[symbols[0].as_py()]
        if symbol % every:
            continue
        if len(symbols.unique()) != 1 or len(ids.unique()) != 1:
            raise WrongAnswerError("rows of several symbols or indicators are mixed")
        _compare(batch, market, symbol, [each.name for each in TEN].index(ids[0].as_py()))
        seen += 1
    if seen != len(range(0, len(market.symbols), every)) * len(TEN):
        raise WrongAnswerError(f"{seen} answers were found")


def _compare(batch: pa.RecordBatch, market: Market, symbol: int, which: int) -> None:
    for name, wanted in zip(TEN[which].outputs, talib_loop(market, [symbol])[0][which], strict=True):
        values = batch.column(name).to_numpy(zero_copy_only=False)
        if not np.allclose(values, wanted, rtol=RTOL, atol=1e-12, equal_nan=True):
            raise WrongAnswerError(f"{name} of {market.symbols[symbol]} differs from TA-Lib's")
