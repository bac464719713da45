"""`python -m benchmarks.indicators`: indicators and market data beside their peers, in one run.

On a fresh `luna up`: a batch of many symbols beside TA-Lib and pandas-ta-classic, and one cached indicator beside one
Kalman call under the same load. `benchmarks.indicators.engines` compares ways to compute without a server, and
`benchmarks.market` measures imports.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from benchmarks import machine
from benchmarks.http.series import make_load
from benchmarks.http.servers import Server, WrongAnswerError, luna
from rich.console import Console

from luna_serving.local.data_folder.errors import LocalServerError

from . import load, peers, report, serving
from .workload import TEN, Market, make_market

PARTS = ("batch", "http")
PACKAGES = ("luna", "ta-lib", "pandas-ta-classic", "pandas", "numpy", "polars", "pyarrow", "ray")
WARM_UP_S = 2.0
WINDOW_BARS = 200


def _parts(text: str) -> list[str]:
    wanted = text.split(",")
    if unknown := set(wanted) - set(PARTS):
        raise argparse.ArgumentTypeError(f"{', '.join(sorted(unknown))}: choose from {', '.join(PARTS)}")
    return wanted


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.indicators",
        description=__doc__,
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    add = parser.add_argument
    add("--only", type=_parts, default=list(PARTS), metavar="A,B", help=f"some of {','.join(PARTS)}")
    add("--symbols", type=int, default=1_000, metavar="N", help="symbols of the batch")
    add("--bars", type=int, default=1_260, metavar="N", help="bars of each symbol")
    add("--peer-symbols", type=int, default=200, metavar="N", help="symbols that pandas-ta-classic computes, at most")
    add("--connections", type=int, default=32, metavar="N", help="requests in flight")
    add("--rounds", type=int, default=5, metavar="N", help="turns of each contender")
    add("--seconds", type=int, default=5, metavar="S", help="length of a slice under load")
    add("--markdown", action="store_true", help="print plain Markdown")
    add("--json", type=Path, metavar="FILE", help="write everything, each round included")
    add("--keep", type=Path, metavar="DIR", help="keep the server's log and data in DIR")
    return parser.parse_args(arguments)


def measure_batch(server: Server, market: Market, options: argparse.Namespace, figures: report.Figures) -> None:
    """Luna, TA-Lib and pandas-ta-classic take turns; Luna's answer is checked first."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with ExitStack() as stack:
        pandas_ta = None
        if peers.pandas_ta_is_here():
            count = min(options.peer_symbols, len(market.symbols))
            # First of all: it forks, and threads do not survive that.
            pandas_ta = stack.enter_context(peers.pandas_ta(market, cores, count))
        batch = stack.enter_context(serving.Batch(server, market))
        pool = stack.enter_context(ThreadPoolExecutor(cores))
        _, content = batch.call()
        serving.check(content, market)
        figures.answer_mb = len(content) / 1e6
        for _ in range(options.rounds):
            turns = {"luna": batch.call()[0], f"TA-Lib, {cores} threads": peers.talib_seconds(market, pool, cores)}
            if pandas_ta is not None:
                turns[f"pandas-ta-classic, {cores} processes"] = pandas_ta(False)
                turns[f"pandas-ta-classic calling TA-Lib, {cores} processes"] = pandas_ta(True)
            for name, seconds in turns.items():
                figures.batch_s.setdefault(name, []).append(seconds)


def measure_http(server: Server, market: Market, options: argparse.Namespace, figures: report.Figures) -> None:
    """One cached indicator (of all bars, and of the last 200) and one Kalman call of 200 points take turns."""
    url, key = serving.account_url(server), {"X-API-Key": server.api_key}
    rsi = f"{url}/indicators/rsi?symbol={market.symbols[0]}&period=14"
    window = market.days[-min(WINDOW_BARS, len(market.days))].astype("datetime64[D]")
    [body, *_] = make_load(WINDOW_BARS).bodies
    requests = (
        load.Request("kalman", server.url, key | {"Content-Type": "application/json"}, body, "POST"),
        load.Request(f"rsi of {WINDOW_BARS} bars", f"{rsi}&start={window}", key),
        load.Request(f"rsi of {len(market.days)} bars", rsi, key),
    )
    for request in requests:
        load.measure(request, options.connections, WARM_UP_S)
    for _ in range(options.rounds):
        for request in requests:
            seen = load.measure(request, options.connections, options.seconds)
            figures.http.setdefault(request.name, []).append(seen)


def main(arguments: list[str]) -> int:
    """Run it; returns 1 if an answer was wrong or something did not start."""
    options, say = parse(arguments), Console(stderr=True)
    facts, figures = machine.facts(PACKAGES), report.Figures()
    facts["indicators"] = ", ".join(each.name for each in TEN)
    stolen, begun = machine.stolen(), time.monotonic()
    try:
        with ExitStack() as stack:
            temporary = stack.enter_context(tempfile.TemporaryDirectory(prefix="luna-indicators-"))
            folder = Path(temporary) if options.keep is None else options.keep.resolve()
            folder.mkdir(parents=True, exist_ok=True)
            say.print("making bars")
            market = make_market(options.symbols, options.bars)
            file = market.write(folder / "bars.parquet")
            say.print("starting Luna")
            server = stack.enter_context(luna(folder))
            serving.run_import(folder / "luna", file)
            serving.wait_until_served(server, f"indicators/sma?symbol={market.symbols[-1]}")
            if "batch" in options.only:
                say.print("measuring the batch")
                measure_batch(server, market, options, figures)
            if "http" in options.only:
                say.print("measuring single calls")
                measure_http(server, market, options, figures)
    except (WrongAnswerError, LocalServerError) as error:
        say.print(str(error), style="bold red", markup=False, highlight=False)
        return 1
    facts["CPU time stolen by neighbours"] = machine.stolen_since(stolen, time.monotonic() - begun)
    report.show(figures, facts, markdown=options.markdown)
    if options.json:
        options.json.write_text(json.dumps({"facts": facts, **figures.as_json()}, indent=2) + "\n")
    if figures.faults:
        say.print(f"{figures.faults} answers were faults", style="bold red")
    return 1 if figures.faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
